// The next root while people agree on it: made from the one before, signed one after the other, published when enough have. Pure.
import { canonical } from './canonical-json.ts';
import { Refused } from './errors.ts';
import type { PublicKey } from './public-key.ts';
import { type Role, type Root, readRoot, signersOf } from './root.ts';
import type { SigningKey } from './signing-key.ts';
import type { JsonObject } from './strict-json.ts';

export type RoleWish = { add: readonly PublicKey[]; remove: readonly string[]; threshold: number | undefined };
export type Wishes = { root: RoleWish; targets: RoleWish; expiresAt: number };

const SPECIFICATION = '1.0.31';
const NOBODY: Role = { keys: [], threshold: 1 };

/** The bytes of a root without signatures: the first one, or the one after `before`. Throws `Refused` where nobody could sign by it. */
export function draftRoot(before: Root | undefined, { root, targets, expiresAt }: Wishes): Buffer {
  const roles = { root: changed(before?.root ?? NOBODY, root), targets: changed(before?.targets ?? NOBODY, targets) };
  const keys = new Map([...roles.root.keys, ...roles.targets.keys].map((key) => [key.keyid, key.json]));
  const signed = {
    _type: 'root',
    spec_version: SPECIFICATION,
    version: (before?.version ?? 0) + 1,
    expires: new Date(expiresAt).toISOString().replace(/\.\d+Z$/, 'Z'),
    consistent_snapshot: true,
    keys: Object.fromEntries(keys),
    // TUF asks for all four. Hedgerow has no use for two of them, so nobody can sign by them.
    roles: { root: json(roles.root), targets: json(roles.targets), snapshot: json(NOBODY), timestamp: json(NOBODY) },
  };
  const bytes = fileOf(signed, []);
  readRoot(bytes);
  return bytes;
}

/** Everybody whose signature counts: by the root itself, and by the one before it. */
export type Progress = { own: readonly PublicKey[]; previous: readonly PublicKey[] | undefined; isComplete: boolean };

export function progressOf(draft: Root, before: Root | undefined): Progress {
  const own = signersOf(draft, draft.root);
  const previous = before === undefined ? undefined : signersOf(draft, before.root);
  const isComplete = own.length >= draft.root.threshold && (previous === undefined || previous.length >= (before?.root.threshold ?? 0));
  return { own, previous, isComplete };
}

/** The bytes with one more signature; the same bytes where that key has signed already. Undefined where its signature would count nowhere. */
export function signRoot(bytes: Uint8Array, before: Root | undefined, key: SigningKey): Uint8Array | undefined {
  const draft = readRoot(bytes);
  const { keyid } = key.public;
  const counts = [draft.root, ...(before === undefined ? [] : [before.root])].some(({ keys }) => keys.some((one) => one.keyid === keyid));
  if (!counts) return undefined;
  if (signersOf(draft, { keys: [key.public], threshold: 1 }).length > 0) return bytes;
  const others = draft.signatures.filter((one) => one.keyid !== keyid);
  return fileOf(draft.signed, [...others, { keyid, sig: key.sign(canonical(draft.signed)).toString('hex') }]);
}

function changed(role: Role, { add, remove, threshold }: RoleWish): Role {
  for (const id of remove)
    if (!role.keys.some(({ keyid }) => keyid === id)) throw new Refused('HR-FW-006', `there is no key ${id.slice(0, 16)} to take out`);
  const kept = role.keys.filter(({ keyid }) => !remove.includes(keyid));
  const keys = new Map([...kept, ...add].map((key) => [key.keyid, key]));
  return { keys: [...keys.values()], threshold: threshold ?? role.threshold };
}

const json = ({ keys, threshold }: Role): JsonObject => ({ keyids: keys.map(({ keyid }) => keyid), threshold });

/** Indented: people read roots before they sign them. */
function fileOf(signed: object, signatures: readonly object[]): Buffer {
  return Buffer.from(`${JSON.stringify({ signatures, signed }, undefined, 1)}\n`);
}
