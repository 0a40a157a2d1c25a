// A private key that signs roots or releases. It lies in a file of a person, never in a cluster.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { Refused } from './errors.ts';
import { keyOf, type PublicKey } from './public-key.ts';
import { digestFor } from './signature.ts';

export type SigningKey = { public: PublicKey; sign(bytes: Uint8Array): Buffer };

/** Throws `Refused` with HR-FW-030 or HR-FW-031, never with the library's words: they are about a key. */
export function signingKey(pem: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new Refused('HR-FW-030');
  }
  const known = keyOf(createPublicKey(key));
  return { public: known, sign: (bytes) => sign(digestFor(known.kind), bytes, key) };
}

/** PKCS#8 and SPKI, PEM. */
export function makeKey(kind: PublicKey['kind']): { privatePem: string; publicPem: string } {
  const { privateKey, publicKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}
