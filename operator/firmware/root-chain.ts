// From the pinned first root to the newest: what may be trusted now, and what must be remembered so that nobody takes it back. Pure.
import { createHash } from 'node:crypto';
import { type FirmwareCode, type Problem, Refused, type Result, resultOf } from './errors.ts';
import { type Role, type Root, readRoot, signersOf } from './root.ts';

/** The newest root that was ever accepted. It is kept where whoever writes the roots cannot write. */
export type Remembered = { version: number /** SHA-256 of the file, hex. */; digest: string };

export type Chain =
  /** `remembered`: to be written down before `root` is used. */
  | { ok: true; root: Root; remembered: Remembered }
  /** With `remembered` where that has moved on although the root is not good any more: an expired root still tells which keys are out. */
  | { ok: false; problem: Problem; remembered?: Remembered };

const MAX_ROOTS = 256;
const NAME = /^([1-9][0-9]{0,9})\.root\.json$/;

/**
 * `pinned`: SHA-256 of 1.root.json, hex. `files`: by name; other names are not looked at. `now` in ms. Each root is signed by its own threshold and by that of the one
 * before it; only the newest must not have expired (TUF §5.3: else no chain could grow older than its first root).
 */
export function advance(pinned: string, remembered: Remembered | undefined, files: ReadonlyMap<string, Uint8Array>, now: number): Chain {
  try {
    const { newest, digests } = walk(pinned, files);
    if (remembered !== undefined) notBehind(remembered, newest, digests);
    const next = { version: newest.version, digest: newest.digest };
    if (now >= newest.expiresAt) {
      const found = `root ${newest.version} has expired, on ${new Date(newest.expiresAt).toISOString().slice(0, 10)}`;
      return { ok: false, problem: { code: 'HR-FW-012', found }, remembered: next };
    }
    return { ok: true, root: newest, remembered: next };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, problem: error.problem };
    throw error;
  }
}

/** The newest root, expired or not, whoever wrote the first: for who makes the next one. Undefined where there is none yet. */
export function newestRoot(files: ReadonlyMap<string, Uint8Array>): Result<Root | undefined> {
  return resultOf(() => {
    if (rootNumbers(files.keys()).length === 0) return undefined;
    return walk(sha256(files.get('1.root.json') ?? new Uint8Array()), files).newest;
  });
}

/** The numbers of the roots among `names`, in their order. */
function rootNumbers(names: Iterable<string>): number[] {
  return [...names]
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

function walk(pinned: string, files: ReadonlyMap<string, Uint8Array>): { newest: Root; digests: string[] } {
  const numbers = rootNumbers(files.keys());
  if (numbers[0] !== 1) throw new Refused('HR-FW-001');
  if (numbers.length > MAX_ROOTS) throw new Refused('HR-FW-007', `there are ${numbers.length} roots, more than ${MAX_ROOTS}`);
  const gap = numbers.findIndex((number, at) => number !== at + 1);
  if (gap !== -1) throw new Refused('HR-FW-003', `${gap + 1}.root.json is missing, and there is ${numbers[gap]}.root.json`);
  const digest = sha256(files.get('1.root.json') ?? new Uint8Array());
  // Before it is parsed: it is a stranger's file until then.
  if (digest !== pinned) throw new Refused('HR-FW-002', `1.root.json has the digest ${digest}, pinned is ${pinned}`);
  let newest = link(1, files, undefined);
  signedBy(newest, newest.root, 'HR-FW-010');
  const digests = [newest.digest];
  for (const number of numbers.slice(1)) {
    newest = link(number, files, newest);
    digests.push(newest.digest);
  }
  return { newest, digests };
}

function link(number: number, files: ReadonlyMap<string, Uint8Array>, before: Root | undefined): Root {
  const name = `${number}.root.json`;
  const root = named(name, files.get(name) ?? new Uint8Array());
  if (root.version !== number) throw new Refused('HR-FW-008', `${name} holds version ${root.version}`);
  if (before === undefined) return root;
  signedBy(root, before.root, 'HR-FW-011');
  signedBy(root, root.root, 'HR-FW-010');
  return root;
}

/** The file's name in front of what is wrong with it. */
function named(name: string, bytes: Uint8Array): Root {
  try {
    return readRoot(bytes);
  } catch (error) {
    if (error instanceof Refused) throw new Refused(error.problem.code, `${name}: ${error.problem.found}`);
    throw error;
  }
}

function signedBy(root: Root, role: Role, code: FirmwareCode): void {
  const signers = signersOf(root, role);
  if (signers.length < role.threshold)
    throw new Refused(code, `${root.version}.root.json is signed by ${signers.length} of the ${role.threshold} keys needed`);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function notBehind(remembered: Remembered, newest: Root, digests: readonly string[]): void {
  if (newest.version < remembered.version)
    throw new Refused('HR-FW-004', `the newest root is ${newest.version}, and ${remembered.version} was accepted before`);
  if (digests[remembered.version - 1] !== remembered.digest)
    throw new Refused('HR-FW-005', `${remembered.version}.root.json is not the file that was accepted before`);
}
