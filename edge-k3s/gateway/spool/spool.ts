// Store and forward: what is acknowledged is on disk, what leaves for room is named, and the disk never holds more than was agreed. docs/reference/edge-spool.md.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Random } from '../../../operator/runtime/random.ts';
import { Refused, refusedBy } from '../errors.ts';
import { type ClassLog, openClassLog } from './class-log.ts';
import type { Coarsening } from './coarsen.ts';
import { type Consumer, createConsumer } from './consumer.ts';
import { CONSUMER_NAME, type Cursor, cursorFile, readCursor, unknownCursor } from './cursor.ts';
import type { Disk } from './disk.ts';
import { type Bounds, boundsOf, CLASSES, type Class, segmentOf } from './layout.ts';
import { type Entry, type Stored, sizeOf } from './record.ts';
import { shareOut } from './resume.ts';
import type { Standing } from './shrink.ts';
import { createYoung, type Young } from './young.ts';

export type SpoolOptions = {
  disk: Disk;
  /** The most that all files have together, at all times. */
  maxBytes: number;
  consumers: readonly string[];
  clock: Clock;
  random: Random;
  coarsening: Coarsening;
  /** Whoever appends does so again, after a crash, with all that it appended since the last `stands`: until then no trend is merged, or it would be there twice. */
  isGivenAgain?: boolean;
};

export type Spool = {
  /**
   * Resolves when it is on disk; rejects with `Refused` when it was not taken: then it is still the caller's. `isAgain`: it may have been here before, and a consumer
   * may have it: it is treated as one that was offered.
   */
  append(entry: Entry, isAgain?: boolean): Promise<void>;
  /** At most `limit`, newest alerts first, the others oldest first; first of all what it may have got before. A record with `lost` says what is missing. */
  take(consumer: string, limit: number): Promise<Stored[]>;
  /** It has them for good. On disk with the next `take` or commit that needs room: until then a restart offers them again, with the same keys. */
  acknowledge(consumer: string, taken: readonly Stored[]): void;
  /** The connection broke: what was taken and not acknowledged is offered again. */
  giveBack(consumer: string): void;
  /** No file has a byte of the device's records when it resolves; how many there were. What is appended for it later is not the spool's to know. */
  erase(device: string): Promise<number>;
  /** Records whose time is over go, and a record of loss says how many; `beforeMs`: none that begins later is over. */
  expire(isOver: (one: Stored) => boolean, beforeMs: Readonly<Record<Class, number>>): Promise<number>;
  /** Of the newest trends on disk, at most `most`: who writes one again after a crash would have it merged twice. See `nameOf`. */
  recent(most: number): Promise<Set<string>>;
  /** What is appended from now on belongs to the next turn. Gives the number of the one that ends. */
  turn(): number;
  /** Nothing of this turn, nor of one before, is appended again. */
  stands(turn: number): void;
  /** So much may be given again that it is time for a `stands`: what may not be merged has to be dropped when there is no room. */
  isPressed(): boolean;
  bytes(): number;
  waiting(consumer: string): Record<Class, number>;
  close(): Promise<void>;
};

type Pending = { entry: Entry; isAgain: boolean; turn: number; bytes: number; resolve(): void; reject(error: unknown): void };

/** A commit waits so long for more, or until so many are there: fewer writes to flash, and an alert is late by no more than this. */
const COMMIT_AFTER_MS = 100;
const COMMIT_RECORDS = 100;
/** Waiting to be written, in segments. */
const MOST_PENDING = 4;
/** Of the bytes of trends. */
const PRESSED_SHARE = 4;
/** The largest record, as a share of a segment. */
const RECORD_SHARE = 4;

export async function openSpool(o: SpoolOptions): Promise<Spool> {
  const bounds = boundsOf(o.maxBytes, o.consumers.length);
  const young = createYoung(o.isGivenAgain === true);
  const { logs, consumers, saveCursors } = await boot(o, bounds, young);
  const each = <T>(of: (log: ClassLog) => T): T[] => CLASSES.map((one) => of(logs[one]));
  const consumerOf = (name: string): Consumer => {
    const found = consumers.find((one) => one.name === name);
    if (found === undefined) throw new RangeError(`no consumer is named ${name}`);
    return found;
  };
  let pending: Pending[] = [];
  let pendingBytes = 0;
  let timer: { cancel(): void } | undefined;
  let isClosed = false;
  let lane: Promise<unknown> = Promise.resolve();
  /** One after the other: whatever touches the disk. */
  const alone = <T>(act: () => Promise<T>): Promise<T> => {
    const next = lane.then(async () => {
      if (each((log) => log.isUncertain).includes(true)) throw new Refused('HR-GW-102');
      return await act();
    });
    lane = next.catch(() => undefined);
    return next.catch((error) => {
      throw refusedBy(error);
    });
  };

  /** Takes what fits into one write of each class. */
  function batch(): Record<Class, Pending[]> {
    const now: Record<Class, Pending[]> = { security: [], alert: [], trend: [] };
    const sizes: Record<Class, number> = { security: 0, alert: 0, trend: 0 };
    pending = pending.filter((one) => {
      const { class: of } = one.entry;
      if (sizes[of] + one.bytes > bounds.segmentBytes / 2) return true;
      sizes[of] += one.bytes;
      pendingBytes -= one.bytes;
      now[of].push(one);
      return false;
    });
    return now;
  }

  const mayHave = (of: Class, seqs: readonly number[]): void => consumers.forEach((one) => void one.mark(of, seqs));

  async function commit(): Promise<void> {
    timer?.cancel();
    timer = undefined;
    while (pending.length > 0) {
      const now = batch();
      const needsRoom = CLASSES.some((of) => !logs[of].hasRoomFor(now[of].reduce((sum, { bytes }) => sum + bytes, 0)));
      if (needsRoom) await saveCursors().catch(() => undefined);
      await Promise.all(
        CLASSES.filter((of) => now[of].length > 0).map((of) => write(logs[of], now[of], (seqs) => mayHave(of, seqs), young)),
      );
    }
  }

  function commitSoon(): void {
    if (pending.length >= COMMIT_RECORDS) void commitNow();
    else timer ??= o.clock.setTimer(COMMIT_AFTER_MS, () => void commitNow());
  }

  const commitNow = (): Promise<void> =>
    alone(commit).catch((error) => {
      for (const { reject } of pending.splice(0)) reject(error);
      pendingBytes = 0;
    });

  return {
    append(entry, isAgain = false) {
      const bytes = sizeOf(entry);
      if (isClosed) return Promise.reject(new Refused('HR-GW-105'));
      if (bytes === undefined || bytes > bounds.segmentBytes / RECORD_SHARE) return Promise.reject(new Refused('HR-GW-103'));
      if (pendingBytes + bytes > MOST_PENDING * bounds.segmentBytes) return Promise.reject(new Refused('HR-GW-104'));
      pendingBytes += bytes;
      return new Promise((resolve, reject) => {
        pending.push({ entry, isAgain, turn: young.turn, bytes, resolve, reject });
        commitSoon();
      });
    },
    take: (name, limit) =>
      alone(async () => {
        const consumer = consumerOf(name);
        const shares = shareOut(limit, consumer.waiting());
        const taken: Stored[] = [];
        for (const of of CLASSES) taken.push(...(await consumer.pick(of, shares[of])));
        consumer.offer(taken);
        try {
          await saveCursors();
        } catch (error) {
          for (const { class: of, seq } of taken) consumer.gone(of, [seq]);
          throw error;
        }
        return taken;
      }),
    acknowledge: (name, taken) => consumerOf(name).acknowledge(taken),
    giveBack: (name) => consumerOf(name).giveBack(),
    erase: (device) =>
      alone(async () => {
        await commit();
        let erased = 0;
        for (const of of CLASSES) erased += await logs[of].erase(device);
        return erased;
      }),
    expire: (isOver, beforeMs) =>
      alone(async () => {
        let expired = 0;
        for (const of of CLASSES) expired += await logs[of].expire(isOver, beforeMs[of]);
        return expired;
      }),
    recent: (most) =>
      alone(async () => {
        const read = { from: 'newest', limit: most, wants: () => true } as const;
        const all = await Promise.all(o.consumers.map((_, consumer) => logs.trend.read({ ...read, consumer })));
        return new Set(all.flat().map(nameOf));
      }),
    turn: young.next,
    stands(turn) {
      young.stands(turn);
      logs.trend.retry();
    },
    isPressed: () => young.bytes > bounds.classBytes.trend / PRESSED_SHARE,
    bytes: () => each((log) => log.bytes()).reduce((sum, bytes) => sum + bytes, 0),
    waiting: (name) => consumerOf(name).waiting(),
    async close() {
      isClosed = true;
      await commitNow();
      await alone(saveCursors);
    },
  };
}

/** What of a record is the same whenever it is written. */
export const nameOf = ({ key, revision }: Pick<Entry, 'key' | 'revision'>): string => `${revision} ${key}`;

async function write(log: ClassLog, now: readonly Pending[], mayHave: (seqs: readonly number[]) => void, young: Young): Promise<void> {
  try {
    await log.append(now.map(({ entry }) => entry));
    const first = log.last - now.length + 1;
    for (const [at, { entry, turn, bytes }] of now.entries()) if (entry.class === 'trend') young.add(first + at, turn, bytes);
    mayHave(now.flatMap(({ isAgain }, at) => (isAgain ? [first + at] : [])));
    for (const { resolve } of now) resolve();
  } catch (error) {
    for (const { reject } of now) reject(error);
  }
}

async function boot(o: SpoolOptions, { segmentBytes, classBytes }: Bounds, young: Young) {
  if (!o.consumers.every((name) => CONSUMER_NAME.test(name))) throw new RangeError('a consumer is named by a-z, 0-9 and - only');
  const names = await o.disk.list();
  const salt = names.map(({ name }) => segmentOf(name)?.salt).find((one) => one !== undefined) ?? Math.floor(o.random() * 2 ** 32);
  const cursors = await Promise.all(
    o.consumers.map(async (name): Promise<Cursor | undefined> => {
      if (!names.some((file) => file.name === cursorFile(name))) return undefined;
      return readCursor(await o.disk.read(cursorFile(name)).catch(() => Buffer.alloc(0)));
    }),
  );
  for (const name of o.consumers) await o.disk.remove(`${cursorFile(name)}.new`);
  const consumers: Consumer[] = [];
  const logs = {} as Record<Class, ClassLog>;
  for (const of of CLASSES) {
    const standing = (seq: number): Standing => {
      if (consumers.every((one) => one.hasCertainly(of, seq))) return 'acked';
      if (of === 'trend' && young.has(seq)) return 'offered';
      return consumers.some((one) => one.mayHave(of, seq)) ? 'offered' : 'free';
    };
    const options = { class: of, disk: o.disk, salt, consumers: o.consumers.length, standing };
    logs[of] = await openClassLog(
      {
        ...options,
        room: { segmentBytes, classBytes: classBytes[of], coarsening: o.coarsening },
        isAcked: (index, seq) => consumers[index]?.hasAcked(of, seq) ?? false,
        gone: (seqs) => consumers.forEach((one) => void one.gone(of, seqs)),
      },
      names,
    );
  }
  const last = { security: logs.security.last, alert: logs.alert.last, trend: logs.trend.last };
  for (const [index, name] of o.consumers.entries())
    consumers.push(createConsumer({ name, index, logs, disk: o.disk, cursor: cursors[index] ?? unknownCursor(last) }));
  for (const of of CLASSES) {
    logs[of].skipTo(Math.max(0, ...consumers.map((one) => one.highest(of))));
    await logs[of].recount();
  }
  young.upTo(logs.trend.last);
  /** A file goes when it is on disk that everybody has what it holds. */
  const saveCursors = async (): Promise<void> => {
    const done = CLASSES.map((of) => [logs[of], logs[of].done()] as const);
    const saved = await Promise.all(consumers.map((one) => one.save()));
    if (saved.includes(true)) await o.disk.syncNames();
    for (const [log, segments] of done) await log.remove(segments);
    for (const one of consumers) one.saved();
  };
  return { logs, consumers, saveCursors };
}
