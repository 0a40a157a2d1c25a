// A public key as TUF writes it (specification 1.0 §4.2, §4.3). Pure.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { canonical } from './canonical-json.ts';
import { Refused } from './errors.ts';
import { digestFor, type KeyKind, kindOf } from './signature.ts';
import { isObject, type Json, type JsonObject } from './strict-json.ts';

export type PublicKey = {
  /** SHA-256 of its canonical JSON, hex. */
  keyid: string;
  kind: KeyKind;
  /** As it stands in a root. */
  json: JsonObject;
  /** Of SubjectPublicKeyInfo in DER, base64: the same key has the same, however it is written. */
  spki: string;
  verifies(bytes: Uint8Array, signature: Uint8Array): boolean;
};

const ED25519 = 'ed25519';
const P256_SCHEME = 'ecdsa-sha2-nistp256';
/** The second is what older tools write (TUF specification 1.0.32, §4.2). */
const P256_TYPES: readonly Json[] = ['ecdsa', P256_SCHEME];
const PEM = /^-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]{1,4096}-----END PUBLIC KEY-----\s*$/;

/** Throws `Refused` with HR-FW-009. */
export function keyFromRoot(keyid: string, json: Json): PublicKey {
  const named = `key ${keyid.slice(0, 16)}`;
  if (!isObject(json) || !isObject(json.keyval)) throw new Refused('HR-FW-009', `${named} has no keytype, scheme and keyval`);
  if (createHash('sha256').update(canonical(json)).digest('hex') !== keyid)
    throw new Refused('HR-FW-009', `${named} is not named by the SHA-256 of its canonical form`);
  const { keytype, scheme, keyval } = json;
  const key = keyObject(keytype, scheme, keyval.public);
  const kind = key && kindOf(key);
  if (key === undefined || kind === undefined) throw new Refused('HR-FW-009', `${named} is neither ed25519 nor ecdsa-sha2-nistp256`);
  return publicKey({ keyid, kind, key, json });
}

/** From a file in PEM (SPKI). Throws `Refused` with HR-FW-030 or HR-FW-031. */
export function keyFromPem(pem: string): PublicKey {
  if (!PEM.test(pem)) throw new Refused('HR-FW-030');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw new Refused('HR-FW-030');
  }
  return keyOf(key);
}

/** Throws `Refused` with HR-FW-031. */
export function keyOf(key: KeyObject): PublicKey {
  const kind = kindOf(key);
  if (kind === undefined) throw new Refused('HR-FW-031');
  const json = tufForm(kind, key);
  return publicKey({ keyid: createHash('sha256').update(canonical(json)).digest('hex'), kind, key, json });
}

function publicKey({ key, ...known }: Pick<PublicKey, 'keyid' | 'kind' | 'json'> & { key: KeyObject }): PublicKey {
  return {
    ...known,
    spki: key.export({ type: 'spki', format: 'der' }).toString('base64'),
    verifies: (bytes, signature) => verify(digestFor(known.kind), bytes, key, signature),
  };
}

function tufForm(kind: KeyKind, key: KeyObject): JsonObject {
  if (kind === ED25519) {
    const { x = '' } = key.export({ format: 'jwk' });
    return { keytype: ED25519, scheme: ED25519, keyval: { public: Buffer.from(x, 'base64url').toString('hex') } };
  }
  return { keytype: 'ecdsa', scheme: P256_SCHEME, keyval: { public: key.export({ type: 'spki', format: 'pem' }).toString() } };
}

/** `createPublicKey` would also take a certificate, or a private key. */
function keyObject(keytype: Json | undefined, scheme: Json | undefined, material: Json | undefined): KeyObject | undefined {
  if (typeof material !== 'string') return undefined;
  try {
    if (keytype === ED25519 && scheme === ED25519 && /^[0-9a-f]{64}$/i.test(material)) {
      const x = Buffer.from(material, 'hex').toString('base64url');
      return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } });
    }
    if (!P256_TYPES.includes(keytype ?? null) || scheme !== P256_SCHEME || !PEM.test(material)) return undefined;
    const key = createPublicKey(material);
    return kindOf(key) === 'P-256' ? key : undefined;
  } catch {
    return undefined;
  }
}
