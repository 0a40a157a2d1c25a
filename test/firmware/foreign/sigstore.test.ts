// What cosign signs with a key of one's own, made by the packages that it signs with: taken where it is a signature of our statement, and else refused with the reason.
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { envelopeText, merged, readEnvelope, signed, unsigned } from '../../../operator/firmware/envelope.ts';
import { verifyRelease } from '../../../operator/firmware/release.ts';
import type { Role } from '../../../operator/firmware/root.ts';
import { makeKey, signingKey } from '../../../operator/firmware/signing-key.ts';
import { statementOf } from '../../../operator/firmware/statement.ts';
import { edited, newKey, publics, releaseFacts } from '../../../operator/firmware/testing/trust.ts';
import { program } from '../../controlplane/programs.ts';

const COMPILE_MS = 600_000;
const statement = statementOf(releaseFacts());
let signer: string;

beforeAll(async () => {
  signer = (await program('sigstore')).bin;
}, COMPILE_MS);

type Made = Record<'envelope' | 'bundle' | 'blob', Buffer>;

function cosigned(payload: Buffer, pem: string): Made {
  const { stdout, stderr, status } = spawnSync(signer, {
    input: JSON.stringify({ payload: payload.toString('base64'), pem }),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const made = JSON.parse(stdout) as Record<keyof Made, object>;
  const bytes = (one: object): Buffer => Buffer.from(JSON.stringify(one));
  return { envelope: bytes(made.envelope), bundle: bytes(made.bundle), blob: bytes(made.blob) };
}

function outcome(bytes: Uint8Array, targets: Role): string {
  const result = verifyRelease(bytes, { targets });
  return result.ok ? 'may run' : result.problem.code;
}

describe.each(['P-256', 'ed25519'] as const)('what cosign signs with a %s key', (kind) => {
  const pem = makeKey(kind).privatePem;
  const key = signingKey(pem);
  const ours = newKey();
  const role = (threshold: number, keys = [key]): Role => ({ keys: publics(keys), threshold });

  it('is taken as envelope and as bundle where it is our statement', () => {
    const { envelope, bundle } = cosigned(statement, pem);
    expect([envelope, bundle].map((one) => outcome(one, role(1)))).toEqual(['may run', 'may run']);
    expect([envelope, bundle].map((one) => outcome(one, role(1, [ours])))).toEqual(['HR-FW-024', 'HR-FW-024']);
  });

  it('counts beside signatures of ours', () => {
    const envelope = signed(unsigned(statement), ours);
    const both = merged(envelope, readEnvelope(cosigned(statement, pem).bundle).signatures);
    const two = role(2, [key, ours]);
    expect([both, envelope].map((one) => outcome(Buffer.from(envelopeText(one)), two))).toEqual(['may run', 'HR-FW-024']);
  });

  it('is refused when altered', () => {
    const { bundle } = cosigned(statement, pem);
    const other = statementOf(releaseFacts({ securityCounter: 8 })).toString('base64');
    expect(
      outcome(
        edited(bundle, (json) => (json.dsseEnvelope.payload = other)),
        role(1),
      ),
    ).toBe('HR-FW-024');
  });

  it('is refused as a signature of bytes (sign-blob), and as a statement of the older form (attest-blob with a predicate)', () => {
    expect(outcome(cosigned(statement, pem).blob, role(1))).toBe('HR-FW-022');
    const older = edited(statement, (json) => (json._type = 'https://in-toto.io/Statement/v0.1'));
    expect(outcome(cosigned(older, pem).bundle, role(1))).toBe('HR-FW-025');
  });
});
