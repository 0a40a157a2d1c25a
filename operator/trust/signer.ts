// The online key that signs the message about server anchors. It can tell devices whom to trust as a server, and nothing else: it is no CA.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { isP256, sha256 } from './anchors.ts';
import type { Problem } from './errors.ts';

export type Signer = {
  /** SubjectPublicKeyInfo in DER. */
  spki: Buffer;
  /** SHA-256 of `spki`, hex. */
  keyId: string;
  /** ECDSA with SHA-256, as ASN.1 DER. */
  sign(bytes: Uint8Array): Buffer;
};

export function readSigner(pem: string): { ok: true; signer: Signer } | { ok: false; problem: Problem } {
  try {
    const key = createPrivateKey(pem);
    if (!isP256(key)) return { ok: false, problem: { code: 'HR-TRU-011' } };
    const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
    return { ok: true, signer: { spki, keyId: sha256(spki).toString('hex'), sign: (bytes) => sign('sha256', bytes, key) } };
  } catch {
    // Never the library's words: they are about a key.
    return { ok: false, problem: { code: 'HR-TRU-010' } };
  }
}
