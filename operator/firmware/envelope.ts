// DSSE envelopes (https://github.com/secure-systems-lab/dsse): who signed which bytes. What the bytes say is read by others, after that. Pure.
import { preAuthentication } from '../api/dsse.ts';
import { Refused } from './errors.ts';
import type { PublicKey } from './public-key.ts';
import type { Role } from './root.ts';
import type { SigningKey } from './signing-key.ts';
import { isObject, type Json, type JsonObject, jsonOr } from './strict-json.ts';

export type Envelope = { payload: Buffer; payloadType: string; signatures: readonly EnvelopeSignature[] };

/** `keyid` is a hint that nobody has signed: empty in envelopes of cosign. */
export type EnvelopeSignature = { keyid: string; sig: Buffer };

/** What a small device can hold to check it: docs/reference/firmware-protocol.md. */
export const MAX_ENVELOPE_BYTES = 64 * 1024;
const MAX_SIGNATURES = 32;
const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const BUNDLE_TYPE = /^application\/vnd\.dev\.sigstore\.bundle(\.v0\.\d+\+json|\+json;version=0\.\d+)$/;

/** An envelope, or a Sigstore bundle with one in it; certificates and log entries of a bundle are not looked at. Throws `Refused`: HR-FW-020 to 023. */
export function readEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > MAX_ENVELOPE_BYTES) throw new Refused('HR-FW-020', `it has ${bytes.length} bytes, more than ${MAX_ENVELOPE_BYTES}`);
  const { payload, payloadType, signatures } = unwrapped(bytes);
  if (payloadType !== STATEMENT_TYPE) throw new Refused('HR-FW-023');
  const list: readonly Json[] = Array.isArray(signatures) ? signatures : wrong('it has no list of signatures');
  if (list.length > MAX_SIGNATURES) throw new Refused('HR-FW-020', `it has ${list.length} signatures, more than ${MAX_SIGNATURES}`);
  return { payload: base64(payload, 'the payload'), payloadType, signatures: list.map(signatureOf) };
}

/** The keys of `role` that signed; each counts once, however often it signed. Signatures by other keys are not looked at. */
export function releaseSigners({ payload, payloadType, signatures }: Envelope, role: Role): PublicKey[] {
  const bytes = preAuthentication(payloadType, payload);
  return role.keys.filter((key) => signatures.some(({ keyid, sig }) => (keyid === '' || keyid === key.keyid) && key.verifies(bytes, sig)));
}

/** An envelope that nobody has signed yet. */
export const unsigned = (payload: Buffer): Envelope => ({ payload, payloadType: STATEMENT_TYPE, signatures: [] });

/** With one signature more; as it was where this key has signed already. */
export function signed(envelope: Envelope, key: SigningKey): Envelope {
  if (releaseSigners(envelope, { keys: [key.public], threshold: 1 }).length > 0) return envelope;
  const signature = { keyid: key.public.keyid, sig: key.sign(preAuthentication(envelope.payloadType, envelope.payload)) };
  return merged(envelope, [signature]);
}

/** With the signatures of both; those that are there twice once. */
export function merged(envelope: Envelope, more: readonly EnvelopeSignature[]): Envelope {
  const all = new Map([...envelope.signatures, ...more].map((one) => [`${one.keyid} ${one.sig.toString('base64')}`, one]));
  return { ...envelope, signatures: [...all.values()] };
}

export function envelopeText({ payload, payloadType, signatures }: Envelope): string {
  const list = signatures.map(({ keyid, sig }) => ({ keyid, sig: sig.toString('base64') }));
  return `${JSON.stringify({ payload: payload.toString('base64'), payloadType, signatures: list }, undefined, 1)}\n`;
}

function unwrapped(bytes: Uint8Array): JsonObject {
  const json = jsonOr(bytes, wrong);
  if (!isObject(json)) return wrong('it is no object');
  if (json.mediaType === undefined) return json;
  if (typeof json.mediaType !== 'string' || !BUNDLE_TYPE.test(json.mediaType)) return wrong('it is a bundle of an unknown version');
  if (json.messageSignature !== undefined) throw new Refused('HR-FW-022');
  return isObject(json.dsseEnvelope) ? json.dsseEnvelope : wrong('it is a bundle without an envelope');
}

function signatureOf(one: Json): EnvelopeSignature {
  const { keyid = '', sig } = isObject(one) ? one : wrong('a signature is no object');
  // JSON made from protocol buffers may write null for what is not there.
  if (typeof keyid !== 'string' && keyid !== null) return wrong('a keyid is no text');
  return { keyid: keyid ?? '', sig: base64(sig, 'a signature') };
}

/** Either alphabet, as the specification asks; written in the one way that it has. */
function base64(text: Json | undefined, what: string): Buffer {
  const plain = typeof text === 'string' ? text.replaceAll('-', '+').replaceAll('_', '/') : wrong(`${what} is no text`);
  const bytes = Buffer.from(plain, 'base64');
  return bytes.toString('base64') === plain ? bytes : wrong(`${what} is not base64`);
}

function wrong(found: string): never {
  throw new Refused('HR-FW-021', found);
}
