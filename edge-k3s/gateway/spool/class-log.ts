// The log of one class: grows at its end, is read from either end, and stays within its bytes.
import { Refused, refusedBy } from '../errors.ts';
import { fileOf, inForce, segmentOf, TEMPORARY } from './layout.ts';
import { overlaps, type Ranges } from './ranges.ts';
import { type Entry, HEADER, type Hole, type Scan, type Stored, scan } from './record.ts';
import { giveWay, type Room, roomFor } from './room.ts';
import { bytesOf, certainly, encodeAll, load, recount, rewrite, type Segment, type Segments, spanOf, withLosses } from './segments.ts';
import { without } from './shrink.ts';

export type Wanted = { from: 'oldest' | 'newest'; consumer: number; limit: number; among?: Ranges; wants(seq: number): boolean };

export type ClassLog = {
  readonly last: number;
  readonly isUncertain: boolean;
  /** Everything before has been acknowledged by all. */
  oldest(): number;
  bytes(): number;
  /** How many records the consumer has not acknowledged. */
  left(consumer: number): number;
  hasRoomFor(bytes: number): boolean;
  /** Written and certain, or refused. */
  append(entries: readonly Entry[]): Promise<void>;
  read(wanted: Wanted): Promise<Stored[]>;
  acked(consumer: number, seqs: readonly number[]): void;
  /** Files whose records all consumers have acknowledged by now; `remove` them when that is on disk. */
  done(): readonly Segment[];
  remove(segments: readonly Segment[]): Promise<void>;
  /** How many records of the device went. */
  erase(device: string): Promise<number>;
  /** How many records went because their time is over; a record of loss says so. Files of which nothing is from before `beforeMs` are not looked at. */
  expire(isOver: (one: Stored) => boolean, beforeMs: number): Promise<number>;
  /** Numbers up to this one were given out once. */
  skipTo(seq: number): void;
  recount(): Promise<void>;
  /** What could not be merged may be by now. */
  retry(): void;
};

type Options = Omit<Segments, 'list' | 'growing' | 'last' | 'cache' | 'isUncertain'> & { room: Room };

/** The last time that a date can have: nobody knows of when the records of a file are that does not read. */
const LATEST_MS = 8.64e15;
/** Of each file, for a record of loss. */
const LOSS_BYTES = 256;

export async function openClassLog({ room, ...options }: Options, names: readonly { name: string; bytes: number }[]): Promise<ClassLog> {
  const of: Segments = { ...options, list: [], growing: undefined, last: 0, cache: undefined, isUncertain: false };
  await boot(of, names);
  return {
    get last() {
      return of.last;
    },
    get isUncertain() {
      return of.isUncertain;
    },
    oldest: () => of.list[0]?.first ?? of.last + 1,
    bytes: () => bytesOf(of),
    left: (consumer) => of.list.reduce((sum, { left }) => sum + (left[consumer] ?? 0), 0),
    hasRoomFor: (bytes) => roomFor(of, room, bytes),
    append: (entries) => append(of, room, entries),
    read: (wanted) => read(of, wanted),
    acked(consumer, seqs) {
      for (const seq of seqs) {
        const segment = of.list.find((one) => seq >= one.first && seq <= one.last);
        if (segment !== undefined) segment.left[consumer] = (segment.left[consumer] ?? 0) - 1;
      }
    },
    done: () => of.list.filter((one) => one.left.every((left) => left <= 0)),
    async remove(segments) {
      const gone = of.list.filter((one) => segments.includes(one));
      if (gone.length === 0) return;
      of.list = of.list.filter((one) => !gone.includes(one));
      if (of.growing !== undefined && gone.includes(of.growing)) of.growing = undefined;
      await certainly(of, async () => {
        for (const { file } of gone) await of.disk.remove(file);
        await of.disk.syncNames();
      });
    },
    erase: (device) => erase(of, device),
    expire: (isOver, beforeMs) => expire(of, isOver, beforeMs),
    skipTo(seq) {
      if (seq > of.last) {
        of.growing = undefined;
        of.last = seq;
      }
    },
    retry() {
      for (const one of of.list) one.mark = 0;
    },
    async recount() {
      for (const one of of.list) recount(of, one, await load(of, one));
    },
  };
}

async function boot(of: Segments, names: readonly { name: string; bytes: number }[]): Promise<void> {
  const mine = names.flatMap(({ name, bytes }) => {
    const parsed = segmentOf(name.replace(TEMPORARY, ''));
    return parsed?.class !== of.class ? [] : [{ ...parsed, name, bytes }];
  });
  const whole = mine.filter(({ name }) => !TEMPORARY.test(name));
  const { kept, over } = inForce(whole);
  const left = [...mine.filter(({ name }) => TEMPORARY.test(name)).map(({ name }) => name), ...over.map(fileOf)];
  for (const name of left) await of.disk.remove(name);
  if (left.length > 0) await of.disk.syncNames();
  for (const [at, one] of kept.entries()) {
    const next = kept[at + 1]?.first;
    const file = fileOf(one);
    const size = whole.find(({ name }) => name === file)?.bytes ?? 0;
    const segment: Segment = {
      file,
      first: one.first,
      last: one.last ?? (next ?? one.first) - 1,
      bytes: size,
      mark: 0,
      left: [],
      fromMs: 0,
      toMs: 0,
    };
    await bootSegment(of, segment, one.last === undefined && next === undefined);
  }
  of.last = Math.max(of.last, of.list.at(-1)?.last ?? 0);
}

async function bootSegment(of: Segments, segment: Segment, isNewest: boolean): Promise<void> {
  const bytes = await of.disk.read(segment.file).catch(() => undefined);
  let found: Scan = bytes === undefined ? { records: [], holes: [{ at: 0, end: segment.bytes }] } : scan(bytes, of.class, of.salt);
  // The newest file says by itself how far it goes; of one that does not read, it is not further than this.
  if (isNewest && bytes === undefined) segment.last = segment.first + Math.ceil(segment.bytes / HEADER);
  if (isNewest && bytes !== undefined) {
    const tail = tornTail(found);
    if (tail !== undefined) {
      await of.disk.truncate(segment.file, tail);
      await of.disk.sync(segment.file);
      found = { records: found.records.filter(({ at }) => at < tail), holes: found.holes.filter(({ at }) => at < tail) };
      segment.bytes = tail;
    }
    segment.last = found.records.at(-1)?.seq ?? segment.first - 1;
  }
  if (found.records.length > 0) Object.assign(segment, spanOf(found.records));
  else Object.assign(segment, { fromMs: of.list.at(-1)?.fromMs ?? 0, toMs: LATEST_MS });
  const records = withLosses(of, segment, found);
  if (records.length === 0) {
    await of.disk.remove(segment.file);
    await of.disk.syncNames();
    of.last = Math.max(of.last, segment.last);
    return;
  }
  recount(of, segment, records);
  of.list.push(segment);
  if (isNewest && bytes !== undefined) of.growing = segment;
}

/** Where the last commit broke off, if it did: nothing whole comes after the hole, or only records of the very commit that it is in. What was certain is before it. */
function tornTail({ records, holes }: Scan): number | undefined {
  const commitOf = ({ seq, place }: Stored): number => seq - place;
  const last = records.at(-1);
  return holes.find(({ end }: Hole) => {
    const after = records.find(({ at }) => at >= end);
    return after === undefined || (last !== undefined && commitOf(after) === commitOf(last));
  })?.at;
}

async function append(of: Segments, room: Room, entries: readonly Entry[]): Promise<void> {
  const stored = entries.map((entry, place): Stored => ({ ...entry, seq: of.last + 1 + place, place, lost: 0 }));
  const bytes = encodeAll(of, stored);
  try {
    while (!roomFor(of, room, bytes.length)) if (!(await giveWay(of, room))) throw new Refused('HR-GW-102');
  } catch (error) {
    throw refusedBy(error);
  }
  if (of.growing !== undefined && of.growing.bytes + bytes.length > room.segmentBytes - LOSS_BYTES) await seal(of);
  const isNew = of.growing === undefined;
  const first = of.last + 1;
  const growing = of.growing ?? { file: '', first, last: of.last, bytes: 0, mark: 0, left: zeros(of), ...spanOf([]) };
  if (isNew) growing.file = fileOf({ class: of.class, first, last: undefined, salt: of.salt });
  of.last += stored.length;
  try {
    await of.disk.append(growing.file, bytes);
    await of.disk.sync(growing.file);
    if (isNew) await of.disk.syncNames();
  } catch (error) {
    await abandon(of, growing, bytes.length);
    throw refusedBy(error);
  }
  if (isNew) of.list.push(growing);
  of.growing = growing;
  const span = spanOf(stored);
  Object.assign(growing, { last: of.last, bytes: growing.bytes + bytes.length });
  Object.assign(growing, { fromMs: Math.min(growing.fromMs, span.fromMs), toMs: Math.max(growing.toMs, span.toMs) });
  growing.left = growing.left.map((left) => left + stored.length);
}

/** A file whose writing failed once is not trusted with more (what fsync could not write may be dropped by the system): cut back to what is certain, and another begun. */
async function abandon(of: Segments, growing: Segment, written: number): Promise<void> {
  of.growing = undefined;
  await of.disk.release(growing.file).catch(() => undefined);
  try {
    if (growing.bytes === 0) await of.disk.remove(growing.file);
    else await of.disk.truncate(growing.file, growing.bytes);
  } catch {
    // What is behind is not acknowledged. It counts as bytes, and is not trusted before the next start.
    growing.bytes += written;
    of.isUncertain = true;
  }
}

async function seal(of: Segments): Promise<void> {
  if (of.growing !== undefined) await of.disk.release(of.growing.file);
  of.growing = undefined;
}

async function read(of: Segments, { from, consumer, limit, among, wants }: Wanted): Promise<Stored[]> {
  const found: Stored[] = [];
  for (const segment of from === 'oldest' ? of.list : [...of.list].reverse()) {
    if (found.length >= limit) break;
    const isApart = among !== undefined && !overlaps(among, segment.first, segment.last);
    if (isApart || (segment.left[consumer] ?? 0) <= 0) continue;
    const records = (await load(of, segment)).filter(({ seq }) => wants(seq));
    found.push(...(from === 'oldest' ? records : records.reverse()).slice(0, limit - found.length));
  }
  return found;
}

async function erase(of: Segments, device: string): Promise<number> {
  await seal(of);
  let erased = 0;
  for (const segment of [...of.list]) {
    const bytes = await of.disk.read(segment.file).catch(() => undefined);
    const isDamaged = bytes === undefined || scan(bytes, of.class, of.salt).holes.length > 0;
    const records = await load(of, segment);
    const others = records.filter((one) => one.device !== device);
    // Nobody knows whose bytes are in what is damaged.
    if (others.length === records.length && !isDamaged) continue;
    erased += records.length - others.length;
    await rewrite(of, [segment], others, segment.mark);
  }
  return erased;
}

async function expire(of: Segments, isOver: (one: Stored) => boolean, beforeMs: number): Promise<number> {
  let expired = 0;
  for (const segment of of.list.filter(({ fromMs }) => fromMs < beforeMs)) {
    const records = await load(of, segment);
    const over = records.filter((one) => one.lost === 0 && of.standing(one.seq) !== 'acked' && isOver(one));
    if (over.length === 0) continue;
    if (segment === of.growing) await seal(of);
    expired += over.length;
    await rewrite(of, [segment], without(records, over, of.standing, of.salt, 'expired'), segment.mark);
  }
  return expired;
}

const zeros = (of: Segments): number[] => Array.from({ length: of.consumers }, () => 0);
