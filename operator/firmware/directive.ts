// Directives: what a device is told to do, signed for it alone. Pure; the nonce and the clock are the caller's.

import { preAuthentication } from '../api/dsse.ts';
import type { DirectiveSigner } from './directive-signer.ts';
import { writeEnvelope } from './dsse.ts';
import type { Problem } from './errors.ts';
import { type Directive, isDirective } from './messages.ts';
import { DIRECTIVE_TYPE, MOST_BYTES } from './protocol.ts';

export type Signed = { ok: true; bytes: Buffer } | { ok: false; problem: Problem };

/** A device without a clock cannot tell how old a directive is; one with a clock need not keep the oldest for ever. */
const MOST_VALID_S = 31 * 86_400;

/** Rises also when the last one was lost: milliseconds, unless the last one is ahead of the clock. */
export const nextSeq = (nowMs: number, last: number): number => Math.max(Math.floor(nowMs), last + 1);

/**
 * The same directive for a device that has started since, or by the next driver: what it asks for and its nonce stay, so that an answer to either is an answer to both.
 * `echo`: the nonce of the device's last hello.
 */
export function again(directive: Directive, { now, fence, echo }: { now: number; fence: number; echo: string }): Directive {
  const iat = Math.floor(now / 1000);
  return { ...directive, iat, exp: iat + directive.exp - directive.iat, fence, echo };
}

/** The bytes for the topic of the device. Refuses what devices would refuse. */
export function signDirective(directive: Directive, signer: DirectiveSigner): Signed {
  const found = reasonAgainst(directive);
  if (found !== undefined) return { ok: false, problem: { code: 'HR-FW-120', found } };
  if (directive.aud.split('.')[1] !== signer.site)
    return { ok: false, problem: { code: 'HR-FW-122', found: `the certificate is for ${signer.site}, the device is ${directive.aud}` } };
  const payload = Buffer.from(JSON.stringify(directive));
  const sig = signer.sign(preAuthentication(DIRECTIVE_TYPE, payload));
  const bytes = writeEnvelope({ payloadType: DIRECTIVE_TYPE, payload, signatures: [{ keyid: signer.keyId, sig, x5c: signer.x5c }] });
  if (bytes.length > MOST_BYTES.directive)
    return {
      ok: false,
      problem: { code: 'HR-FW-120', found: `it has ${bytes.length} bytes, at most ${MOST_BYTES.directive} may be sent` },
    };
  return { ok: true, bytes };
}

function reasonAgainst(directive: Directive): string | undefined {
  if (!isDirective(directive)) return `the form is wrong at: ${isDirective.where()}`;
  const { action, iat, exp, release, artifact } = directive;
  if (exp <= iat || exp - iat > MOST_VALID_S) return 'exp is not after iat, or more than 31 days after it';
  const brings = action === 'Install' || action === 'Stage';
  if (brings !== (release !== undefined)) return brings ? `${action} needs release` : `${action} has no release`;
  if ((action === 'Cancel') !== (artifact === undefined))
    return action === 'Cancel' ? 'Cancel has no artifact' : `${action} needs artifact`;
  if (artifact !== undefined && brings !== (artifact.urls !== undefined))
    return brings ? `${action} needs artifact.urls` : `${action} has no artifact.urls`;
  return undefined;
}
