// The two kinds of keys that sign anything here: Ed25519, and ECDSA on P-256 with SHA-256 as ASN.1 DER. Pure.
import type { KeyObject } from 'node:crypto';

export type KeyKind = 'ed25519' | 'P-256';

/** Undefined of every other key. */
export function kindOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): KeyKind | undefined {
  if (asymmetricKeyType === 'ed25519') return 'ed25519';
  return asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1' ? 'P-256' : undefined;
}

/** What `sign` and `verify` of node:crypto want to be told: Ed25519 hashes by itself. */
export const digestFor = (kind: KeyKind): 'sha256' | null => (kind === 'ed25519' ? null : 'sha256');
