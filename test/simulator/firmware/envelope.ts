// DSSE as a device reads it. Written after docs/reference/firmware-protocol.md alone; nothing in this folder shares code with the operator.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

export type Signature = { keyid: string; sig: Buffer; x5c: Buffer[] };
export type Envelope = { type: string; payload: Buffer; signatures: Signature[] };

/** Undefined for whatever is no envelope. */
export function openEnvelope(bytes: Uint8Array, mostBytes: number): Envelope | undefined {
  if (bytes.length > mostBytes) return undefined;
  try {
    const { payload, payloadType, signatures } = parseJson(bytes) as Record<string, unknown>;
    if (typeof payloadType !== 'string' || !Array.isArray(signatures)) return undefined;
    const read = (signatures as Record<string, unknown>[]).map(({ keyid, sig, x5c }) => ({
      keyid: typeof keyid === 'string' ? keyid : '',
      sig: unbase64(sig),
      x5c: x5c === undefined ? [] : (x5c as unknown[]).map(unbase64),
    }));
    return { type: payloadType, payload: unbase64(payload), signatures: read };
  } catch {
    return undefined;
  }
}

export function isSigned({ type, payload }: Envelope, { sig }: Signature, key: KeyObject): boolean {
  try {
    return verify(hashOf(key), signedBytes(type, payload), key, sig);
  } catch {
    return false;
  }
}

/** As an object, to be put into a message. */
export function seal(type: string, payload: Uint8Array, key: KeyObject): Record<string, unknown> {
  const keyid = createHash('sha256')
    .update(createPublicKey(key as KeyObject & { type: 'private' }).export({ type: 'spki', format: 'der' }))
    .digest('hex');
  const sig = sign(hashOf(key), signedBytes(type, payload), key).toString('base64');
  return { payload: Buffer.from(payload).toString('base64'), payloadType: type, signatures: [{ keyid, sig }] };
}

/** UTF-8 that is right, no byte order mark, no key twice, whole numbers; throws for anything else. */
export function parseJson(bytes: Uint8Array): unknown {
  const text = textOf(bytes);
  if (/[0-9][.eE]/.test(text.replaceAll(/"(?:[^"\\]|\\.)*"/gs, '""'))) throw new Error('a number is not whole');
  return parseText(text);
}

/** The same with any numbers. */
export const parseAnyJson = (bytes: Uint8Array): unknown => parseText(textOf(bytes));

const textOf = (bytes: Uint8Array): string => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);

function parseText(text: string): unknown {
  const value = JSON.parse(text) as unknown;
  const keys = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/gs)].filter(([, colon]) => colon !== undefined).length;
  if (keys !== keysIn(value)) throw new Error('a key stands twice');
  return value;
}

function keysIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const children = Object.values(value);
  return children.reduce((sum: number, child) => sum + keysIn(child), Array.isArray(value) ? 0 : children.length);
}

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const signedBytes = (type: string, payload: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);

/** Ed25519 has its own hash; anything else that is not P-256 verifies nothing. */
function hashOf(key: KeyObject): 'sha256' | null {
  if (key.asymmetricKeyType === 'ed25519') return null;
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'sha256';
  throw new Error('a key of a kind that the protocol does not know');
}

function unbase64(value: unknown): Buffer {
  const bytes = Buffer.from(String(value), 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== String(value).replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, ''))
    throw new Error('not base64');
  return bytes;
}
