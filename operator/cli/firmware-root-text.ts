// A trust root for a person to read before they sign it or rely on it. Pure.
import { type PublicKey, progressOf, type Role, type Root } from '../firmware/firmware.ts';
import { facts, growingTable } from './table.ts';

/** `pin`: SHA-256 of the first root. `now` in ms; 0 where it does not matter. */
export type RootView = { newest: Root | undefined; draft: Root | undefined; pin: string | undefined; now: number };

export function rootText({ newest, draft, pin, now }: RootView): string {
  const parts = [];
  if (newest !== undefined && (pin !== undefined || draft === undefined))
    parts.push(
      facts([
        ['root', String(newest.version)],
        ['expires', `${date(newest)}${now >= newest.expiresAt ? ', it is over' : ''}`],
        ['pin', pin],
      ]) + keysText(newest),
    );
  if (draft !== undefined) parts.push(draftText(draft, newest));
  return parts.join('\n');
}

export function rootJson({ newest, draft, pin, now }: RootView): object {
  const role = ({ keys, threshold }: Role): object => ({ threshold, keys: keys.map(({ keyid, kind }) => ({ keyid, kind })) });
  const plain = (root: Root): object => ({
    version: root.version,
    expires: new Date(root.expiresAt).toISOString(),
    isExpired: now >= root.expiresAt,
    digest: root.digest,
    root: role(root.root),
    release: role(root.targets),
  });
  return {
    pin,
    newest: newest === undefined ? undefined : plain(newest),
    draft: draft === undefined ? undefined : { ...plain(draft), waitsFor: waits(draft, newest) },
  };
}

function draftText(draft: Root, before: Root | undefined): string {
  const head = facts([
    ['draft of root', String(draft.version)],
    ['expires', date(draft)],
  ]);
  const lines = waits(draft, before).map(({ of, missing, may }) => `waits for ${missing} of: ${may.map(short).join(' ')} (${of})\n`);
  return `${head}${keysText(draft)}${lines.length === 0 ? '' : `\n${lines.join('')}`}`;
}

type Wait = { of: string; missing: number; may: string[] };

/** Whose signatures are missing. */
function waits(draft: Root, before: Root | undefined): Wait[] {
  const { own, previous } = progressOf(draft, before);
  const of = (role: Role, signers: readonly PublicKey[], name: string): Wait[] => {
    const missing = role.threshold - signers.length;
    if (missing <= 0) return [];
    const signed = new Set(signers.map(({ keyid }) => keyid));
    return [{ of: name, missing, may: role.keys.map(({ keyid }) => keyid).filter((id) => !signed.has(id)) }];
  };
  return [
    ...(before === undefined || previous === undefined ? [] : of(before.root, previous, `root keys of version ${before.version}`)),
    ...of(draft.root, own, 'its own root keys'),
  ];
}

function keysText({ root, targets }: Root): string {
  const rows = (name: string, { keys, threshold }: Role): string[][] =>
    keys.map(({ keyid, kind }) => [name, `${threshold} of ${keys.length}`, kind, keyid]);
  return `\n${growingTable(['SIGNS', 'NEEDED', 'KIND', 'KEY'])([...rows('roots', root), ...rows('releases', targets)])}`;
}

const date = ({ expiresAt }: Root): string => new Date(expiresAt).toISOString().slice(0, 10);
const short = (keyid: string): string => keyid.slice(0, 16);
