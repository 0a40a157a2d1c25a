// Envelopes of messages between driver and device (DSSE): small, with one kind of payload, and with the certificate of the key. Those of releases: envelope.ts.
import { type KeyObject, verify } from 'node:crypto';
import { preAuthentication } from '../api/dsse.ts';
import { readBounded } from './json.ts';
import { digestFor, kindOf } from './signature.ts';
import { isObject, type Json } from './strict-json.ts';

export type Signature = { keyid: string; sig: Buffer; x5c?: readonly Buffer[] };
export type Envelope = { payloadType: string; payload: Buffer; signatures: readonly Signature[] };

/** A certificate and its issuers that a signature may bring, as in RFC 7515 §4.1.6. */
const MOST_CERTIFICATES = 3;
const MOST_SIGNATURES = 16;

export function writeEnvelope({ payloadType, payload, signatures }: Envelope): Buffer {
  const written = signatures.map(({ keyid, sig, x5c }) => ({
    ...{ keyid, sig: sig.toString('base64') },
    ...(x5c === undefined ? {} : { x5c: x5c.map((der) => der.toString('base64')) }),
  }));
  return Buffer.from(JSON.stringify({ payload: payload.toString('base64'), payloadType, signatures: written }));
}

/** Total over all bytes; undefined for what is no envelope. */
export function readEnvelope(bytes: Uint8Array, mostBytes: number): Envelope | undefined {
  return envelopeOf(readBounded(bytes, mostBytes));
}

/** The same of JSON that is read already. Fields that DSSE does not know are passed over, as it says. */
export function envelopeOf(value: Json | undefined): Envelope | undefined {
  if (!isObject(value) || typeof value.payloadType !== 'string' || !Array.isArray(value.signatures)) return undefined;
  const payload = base64(value.payload);
  const signatures = value.signatures.map(signatureOf);
  if (payload === undefined || signatures.length === 0 || signatures.length > MOST_SIGNATURES) return undefined;
  const whole = signatures.filter((one) => one !== undefined);
  return whole.length === signatures.length ? { payloadType: value.payloadType, payload, signatures: whole } : undefined;
}

/** The key decides by which algorithm. Of another kind it has signed nothing. */
export function isSignedBy({ payloadType, payload }: Envelope, { sig }: Signature, key: KeyObject): boolean {
  const kind = kindOf(key);
  return kind !== undefined && verify(digestFor(kind), preAuthentication(payloadType, payload), key, sig);
}

function signatureOf(value: Json): Signature | undefined {
  if (!isObject(value)) return undefined;
  const { keyid = '' } = value;
  const sig = base64(value.sig);
  if (typeof keyid !== 'string' || sig === undefined) return undefined;
  if (value.x5c === undefined) return { keyid, sig };
  if (!Array.isArray(value.x5c) || value.x5c.length > MOST_CERTIFICATES) return undefined;
  const ders = value.x5c.map(base64).filter((der) => der !== undefined);
  return ders.length === value.x5c.length ? { keyid, sig, x5c: ders } : undefined;
}

/** Standard or URL-safe alphabet (DSSE lets both), nothing else in it. */
function base64(value: Json | undefined): Buffer | undefined {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) return undefined;
  return Buffer.from(value, 'base64');
}
