// TUF root metadata and release statements as a bootloader reads them: who may sign what runs.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { isSigned, openEnvelope, parseJson, sha256 } from './envelope.ts';

type Role = { keyids: string[]; threshold: number };
export type Root = { version: number; expires: number; keys: Map<string, KeyObject>; root: Role; targets: Role };

export type Release = {
  component: string;
  version: string;
  securityCounter: number;
  minVersionFloor: string | undefined;
  /** SHA-256 of the statement. */
  digest: string;
  artifacts: { digest: string; size: number; classIds: string[] | undefined }[];
};

const MOST_BYTES = 65_536;

/** The next root, if the present one and itself have signed it; undefined for anything else. `present` undefined: the first, which the factory vouches for. */
export function nextRoot(bytes: Uint8Array, present: Root | undefined): Root | undefined {
  try {
    if (bytes.length > MOST_BYTES) return undefined;
    const file = parseJson(bytes) as { signed: Record<string, unknown>; signatures: { keyid: string; sig: string }[] };
    const next = rootOf(file.signed);
    const signed = Buffer.from(canonical(file.signed));
    const signers = (role: Role, keys: Root['keys']): number =>
      new Set(role.keyids.filter((id) => file.signatures.some(({ keyid, sig }) => keyid === id && isBy(keys.get(id), signed, sig)))).size;
    const isNext =
      present === undefined || (next.version === present.version + 1 && signers(present.root, present.keys) >= present.root.threshold);
    return isNext && signers(next.root, next.keys) >= next.root.threshold ? next : undefined;
  } catch {
    return undefined;
  }
}

/** 1: not signed by enough. 15: signed, and not in a form that is known. */
export function releaseOf(bytes: Uint8Array, { keys, targets }: Root): Release | 1 | 15 {
  const envelope = openEnvelope(bytes, MOST_BYTES);
  if (envelope === undefined || envelope.type !== 'application/vnd.in-toto+json') return 1;
  const signers = targets.keyids.filter((id) => {
    const key = keys.get(id);
    return key !== undefined && envelope.signatures.some((signature) => isSigned(envelope, signature, key));
  });
  if (new Set(signers).size < targets.threshold) return 1;
  return statementOf(envelope.payload) ?? 15;
}

function statementOf(bytes: Buffer): Release | undefined {
  try {
    const { _type, predicateType, subject, predicate } = parseJson(bytes) as Statement;
    if (_type !== 'https://in-toto.io/Statement/v1' || predicateType !== 'https://hedgerow.dev/firmware-release/v1') return undefined;
    const { component, version, securityCounter, minVersionFloor } = predicate;
    const digests = new Map(subject.map(({ name, digest }) => [name, digest.sha256]));
    const artifacts = predicate.artifacts.map(({ name, size, hardware }) => ({
      digest: `sha256:${digests.get(name)}`,
      size,
      classIds: hardware?.classIds,
    }));
    return { component, version, securityCounter, minVersionFloor, artifacts, digest: sha256(bytes) };
  } catch {
    return undefined;
  }
}

type Statement = {
  _type: string;
  predicateType: string;
  subject: { name: string; digest: { sha256: string } }[];
  predicate: {
    component: string;
    version: string;
    securityCounter: number;
    minVersionFloor?: string;
    artifacts: { name: string; size: number; hardware?: { classIds?: string[] } }[];
  };
};

function rootOf(signed: Record<string, unknown>): Root {
  const { _type, version, expires, keys, roles } = signed as {
    _type: string;
    version: number;
    expires: string;
    keys: Record<string, { keytype: string; keyval: { public: string } }>;
    roles: { root: Role; targets: Role };
  };
  if (_type !== 'root' || !Number.isSafeInteger(version) || version < 1 || !(roles.root.threshold >= 1) || !(roles.targets.threshold >= 1))
    throw new Error('no root');
  const known = Object.entries(keys).map(([id, key]): [string, KeyObject] => [id, keyOf(key)]);
  const ends = Date.parse(expires) / 1000;
  if (Number.isNaN(ends)) throw new Error('no time');
  return { version, expires: ends, keys: new Map(known), root: roles.root, targets: roles.targets };
}

function keyOf({ keytype, keyval }: { keytype: string; keyval: { public: string } }): KeyObject {
  if (keytype !== 'ed25519') return createPublicKey(keyval.public);
  return createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(keyval.public, 'hex').toString('base64url') },
  });
}

function isBy(key: KeyObject | undefined, bytes: Buffer, sig: string): boolean {
  if (key === undefined) return false;
  return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', bytes, key, Buffer.from(sig, 'hex'));
}

/** OLPC canonical JSON, which TUF signs. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'string') return `"${value.replaceAll(/[\\"]/g, '\\$&')}"`;
  if (typeof value !== 'object' || value === null) return String(value);
  const keys = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${keys.map((key) => `${canonical(key)}:${canonical((value as Record<string, unknown>)[key])}`).join(',')}}`;
}
