// A directory in memory that writes down what is done to it, and what of it a power cut leaves: bytes are certain after `sync` of their file, names after `syncNames`.
import { type Random, seededRandom } from '../../../../operator/runtime/random.ts';
import type { Disk } from '../disk.ts';

export type Operation =
  | { does: 'create'; name: string; file: number }
  | { does: 'append'; file: number; bytes: Buffer }
  | { does: 'truncate'; file: number; length: number }
  | { does: 'sync'; file: number }
  | { does: 'rename'; from: string; to: string }
  | { does: 'remove'; name: string }
  | { does: 'syncNames' };

/** How much of what was not synced the cut took: nothing; everything; the last write but so many bytes; the same, and the rest of the page is rubbish; each by chance. */
export type Cut = 'all written' | 'unsynced lost' | { torn: number } | { garbage: number } | { chance: number };

export type Faults = { /** Bytes of the whole disk. */ room?: number; fail?(does: string, name: string): Error | undefined };

export type MemoryDisk = Disk & { log: Operation[]; files(): Map<string, Buffer>; faults: Faults; used(): number; peak(): number };

type State = { names: Map<string, number>; contents: Map<number, Buffer> };

export function memoryDisk(start: ReadonlyMap<string, Buffer> = new Map(), faults: Faults = {}): MemoryDisk {
  const state: State = { names: new Map(), contents: new Map() };
  let made = 0;
  for (const [name, bytes] of start) {
    made += 1;
    state.names.set(name, made);
    state.contents.set(made, Buffer.from(bytes));
  }
  const log: Operation[] = [];
  let most = 0;
  const used = (): number => [...state.names.values()].reduce((sum, file) => sum + (state.contents.get(file)?.length ?? 0), 0);
  const act = (one: Operation): void => {
    log.push(one);
    apply(state, one);
    most = Math.max(most, used());
  };
  const fileOf = (name: string): number => {
    const file = state.names.get(name);
    if (file === undefined) throw Object.assign(new Error(`no file ${name}`), { code: 'ENOENT' });
    return file;
  };
  const may = (does: string, name: string): void => {
    const error = disk.faults.fail?.(does, name);
    if (error !== undefined) throw error;
  };
  const disk: MemoryDisk = {
    log,
    faults,
    used,
    peak: () => most,
    files: () => new Map([...state.names].map(([name, file]) => [name, Buffer.from(state.contents.get(file) ?? Buffer.alloc(0))])),
    list: async () => [...state.names].map(([name, file]) => ({ name, bytes: state.contents.get(file)?.length ?? 0 })),
    async read(name) {
      may('read', name);
      return Buffer.from(state.contents.get(fileOf(name)) ?? Buffer.alloc(0));
    },
    async append(name, bytes) {
      may('append', name);
      const room = (disk.faults.room ?? Number.POSITIVE_INFINITY) - used();
      if (!state.names.has(name)) {
        made += 1;
        act({ does: 'create', name, file: made });
      }
      act({ does: 'append', file: fileOf(name), bytes: Buffer.from(bytes.subarray(0, Math.max(0, room))) });
      if (room < bytes.length) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    },
    async truncate(name, length) {
      may('truncate', name);
      act({ does: 'truncate', file: fileOf(name), length });
    },
    async sync(name) {
      may('sync', name);
      act({ does: 'sync', file: fileOf(name) });
    },
    async rename(from, to) {
      may('rename', from);
      fileOf(from);
      act({ does: 'rename', from, to });
    },
    async remove(name) {
      may('remove', name);
      if (state.names.has(name)) act({ does: 'remove', name });
    },
    async syncNames() {
      may('syncNames', '');
      act({ does: 'syncNames' });
    },
    release: async () => undefined,
  };
  return disk;
}

function apply(state: State, one: Operation): void {
  const of = (file: number): Buffer => state.contents.get(file) ?? Buffer.alloc(0);
  if (one.does === 'create') {
    state.names.set(one.name, one.file);
    if (!state.contents.has(one.file)) state.contents.set(one.file, Buffer.alloc(0));
  } else if (one.does === 'append') state.contents.set(one.file, Buffer.concat([of(one.file), one.bytes]));
  else if (one.does === 'truncate') state.contents.set(one.file, Buffer.from(of(one.file).subarray(0, one.length)));
  else if (one.does === 'rename') {
    const file = state.names.get(one.from);
    if (file === undefined) return;
    state.names.delete(one.from);
    state.names.set(one.to, file);
  } else if (one.does === 'remove') state.names.delete(one.name);
}

/** The files after the first `count` operations and a cut. `start` is empty: the log is of a whole life. */
export function afterCut(log: readonly Operation[], count: number, cut: Cut): Map<string, Buffer> {
  const done = log.slice(0, count);
  const namesAt = done.findLastIndex(({ does }) => does === 'syncNames');
  const syncs = new Map<number, number>();
  for (const [at, one] of done.entries()) if (one.does === 'sync') syncs.set(one.file, at);
  const random = typeof cut === 'object' && 'chance' in cut ? seededRandom(cut.chance * 7_919 + count) : undefined;
  const state: State = { names: new Map(), contents: new Map() };
  const broken = new Set<number>();
  for (const [at, one] of done.entries()) {
    if (one.does === 'sync' || one.does === 'syncNames') continue;
    const isName = one.does === 'create' || one.does === 'rename' || one.does === 'remove';
    const isCertain = isName ? at < namesAt : at < (syncs.get(one.file) ?? -1);
    const kept = isCertain ? one : leftOf(one, { isLast: at === count - 1, cut, random, broken });
    if (kept !== undefined) apply(state, kept);
  }
  return new Map([...state.names].map(([name, file]) => [name, state.contents.get(file) ?? Buffer.alloc(0)]));
}

function leftOf(
  one: Operation,
  { isLast, cut, random, broken }: { isLast: boolean; cut: Cut; random: Random | undefined; broken: Set<number> },
): Operation | undefined {
  if (cut === 'all written') return one;
  if (cut === 'unsynced lost') return undefined;
  if (random === undefined) return isLast && one.does === 'append' ? { ...one, bytes: partOf(one.bytes, cut) } : one;
  if (one.does !== 'append') return random() < 0.5 ? one : undefined;
  if (broken.has(one.file)) return undefined;
  const dice = random();
  if (dice < 0.4) return one;
  broken.add(one.file);
  const at = Math.floor(random() * one.bytes.length);
  if (dice < 0.6) return undefined;
  return { ...one, bytes: dice < 0.8 ? one.bytes.subarray(0, at) : holed(one.bytes, at, random) };
}

function partOf(bytes: Buffer, cut: Cut): Buffer {
  if (typeof cut === 'string' || 'chance' in cut) return bytes;
  if ('torn' in cut) return bytes.subarray(0, Math.max(0, bytes.length - cut.torn));
  return Buffer.concat([
    bytes.subarray(0, Math.max(0, bytes.length - cut.garbage)),
    Buffer.alloc(Math.min(cut.garbage, bytes.length), 0xa5),
  ]);
}

/** The page in the middle did not come to the disk, those around it did. */
function holed(bytes: Buffer, at: number, random: Random): Buffer {
  const left = Buffer.from(bytes);
  left.fill(0, at, at + Math.floor(random() * (bytes.length - at)));
  return left;
}
