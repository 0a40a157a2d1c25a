// TUF root metadata (https://theupdateframework.github.io/specification/latest/ §4.3): which keys sign the next root, and which sign releases. Pure.
import { createHash } from 'node:crypto';
import { canonical } from './canonical-json.ts';
import { Refused } from './errors.ts';
import { keyFromRoot, type PublicKey } from './public-key.ts';
import { isObject, type Json, type JsonObject, jsonOr } from './strict-json.ts';

/** `threshold` of `keys` together are the role. */
export type Role = { keys: readonly PublicKey[]; threshold: number };

export type Root = {
  version: number;
  expiresAt: number;
  /** Signs the next root. */
  root: Role;
  /** Signs releases: TUF's role for what clients install. */
  targets: Role;
  /** What was signed. */
  signed: JsonObject;
  signatures: readonly RootSignature[];
  /** SHA-256 of the file, hex. */
  digest: string;
};

export type RootSignature = { keyid: string; sig: string };

export const MAX_ROOT_BYTES = 64 * 1024;
const MAX_KEYS = 32;
const MAX_SIGNATURES = 64;
const MAX_VERSION = 2 ** 31 - 1;
const ROLES = ['root', 'snapshot', 'targets', 'timestamp'];

/** Throws `Refused`: HR-FW-006, 007 or 009. Nothing is said of its signatures yet: `signersOf`. */
export function readRoot(bytes: Uint8Array): Root {
  if (bytes.length > MAX_ROOT_BYTES) throw new Refused('HR-FW-007', `it has ${bytes.length} bytes, more than ${MAX_ROOT_BYTES}`);
  const file = jsonOr(bytes, wrong);
  const { signed, signatures } = isObject(file) ? file : wrong('it is no object');
  if (!isObject(signed)) return wrong('it has no "signed"');
  const { _type, version, spec_version: specification, expires } = signed;
  if (_type !== 'root') return wrong('its _type is not "root"');
  if (typeof specification !== 'string' || !/^1\.\d{1,3}(\.\d{1,3})?$/.test(specification)) return wrong('its spec_version is not 1.x');
  if (typeof version !== 'number' || version < 1 || version > MAX_VERSION) return wrong('its version is no number from 1 on');
  if (signed.consistent_snapshot !== undefined && typeof signed.consistent_snapshot !== 'boolean')
    return wrong('consistent_snapshot is neither true nor false');
  const keys = keysOf(signed.keys);
  const roles = rolesOf(signed.roles, keys);
  return {
    version,
    expiresAt: timeOf(expires),
    root: satisfiable('root', roles),
    targets: satisfiable('targets', roles),
    signed,
    signatures: signaturesOf(signatures),
    digest: createHash('sha256').update(bytes).digest('hex'),
  };
}

/** The keys of `role` whose signatures of `root` hold; each counts once. */
export function signersOf({ signed, signatures }: Pick<Root, 'signed' | 'signatures'>, role: Role): PublicKey[] {
  const bytes = canonical(signed);
  return role.keys.filter((key) =>
    signatures.some(({ keyid, sig }) => keyid === key.keyid && key.verifies(bytes, Buffer.from(sig, 'hex'))),
  );
}

function wrong(found: string): never {
  throw new Refused('HR-FW-006', found);
}

function timeOf(expires: Json | undefined): number {
  const text = typeof expires === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(expires) ? expires : '';
  const at = Date.parse(text);
  // 30 February would be taken for the second day of March.
  if (Number.isNaN(at) || new Date(at).toISOString() !== text.replace('Z', '.000Z'))
    return wrong('expires is no time such as 2027-11-26T00:00:00Z');
  return at;
}

function keysOf(keys: Json | undefined): Map<string, PublicKey> {
  const entries = isObject(keys) ? Object.entries(keys) : wrong('it has no keys');
  if (entries.length > MAX_KEYS) return wrong(`it has more than ${MAX_KEYS} keys`);
  const known = new Map(entries.map(([keyid, json]) => [keyid, keyFromRoot(keyid, json)]));
  // Two names for one key would let one person count as two.
  if (new Set([...known.values()].map(({ spki }) => spki)).size < known.size)
    throw new Refused('HR-FW-009', 'one key is there under two ids');
  return known;
}

function rolesOf(roles: Json | undefined, keys: ReadonlyMap<string, PublicKey>): Map<string, Role> {
  const found = isObject(roles) ? roles : wrong('it has no roles');
  if (Object.keys(found).sort().join() !== ROLES.join()) return wrong(`its roles are not ${ROLES.join(', ')}`);
  return new Map(ROLES.map((name) => [name, roleOf(name, found[name], keys)]));
}

function roleOf(name: string, role: Json | undefined, keys: ReadonlyMap<string, PublicKey>): Role {
  const { keyids, threshold } = isObject(role) ? role : wrong(`role ${name} is no object`);
  if (typeof threshold !== 'number' || threshold < 1) return wrong(`the threshold of ${name} is no number from 1 on`);
  const ids: readonly Json[] = Array.isArray(keyids) ? keyids : wrong(`role ${name} has no list of keyids`);
  if (new Set(ids).size < ids.length) return wrong(`role ${name} names a key twice`);
  const known = ids.map((id) => keys.get(String(id)) ?? wrong(`role ${name} names a key that is not there`));
  return { keys: known, threshold };
}

function satisfiable(name: string, roles: ReadonlyMap<string, Role>): Role {
  const role = roles.get(name) ?? wrong(`it has no role ${name}`);
  if (role.keys.length < role.threshold)
    return wrong(`role ${name} needs ${role.threshold} keys and has ${role.keys.length}: nobody could sign`);
  return role;
}

function signaturesOf(signatures: Json | undefined): RootSignature[] {
  const list: readonly Json[] = Array.isArray(signatures) ? signatures : wrong('it has no list of signatures');
  if (list.length > MAX_SIGNATURES) return wrong(`it has more than ${MAX_SIGNATURES} signatures`);
  const read = list.map((one) => {
    const { keyid, sig } = isObject(one) ? one : wrong('a signature is no object');
    if (typeof keyid !== 'string' || typeof sig !== 'string' || !/^([0-9a-f]{2}){0,512}$/i.test(sig))
      return wrong('a signature has no keyid, or is not written in hex');
    return { keyid, sig };
  });
  if (new Set(read.map(({ keyid }) => keyid)).size < read.length) return wrong('one keyid has two signatures');
  return read;
}
