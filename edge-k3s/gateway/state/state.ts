// The gateway's memory over restarts: a snapshot of all parts, and a journal of the events since. What is appended is on disk when its promise resolves; a new process
// restores the snapshot and applies the journal again, in the same order.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Event } from '../core/event.ts';
import type { Part } from '../core/part.ts';
import { type Refused, refusedBy } from '../errors.ts';
import type { Disk } from '../spool/disk.ts';
import { eventLine, readJournal, readSnapshot, snapshotBytes } from './lines.ts';

export type StateOptions = {
  disk: Disk;
  clock: Pick<Clock, 'setTimer'>;
  /** Restored in this order. */
  parts: readonly Part[];
  /** Of each event in the journal, at the start. */
  apply(event: Event): void;
  /**
   * Resolves when everything that the events so far gave out is certain: a snapshot takes the place of the journal that would give it out again. What it gives is called
   * when it has.
   */
  settled?(): Promise<() => void>;
};

export type State = {
  /** Of an event that was applied. One promise for all that go to the disk together. */
  append(event: Event): Promise<void>;
  /** All parts as they are now; the journal begins anew. Nothing that a part has forgotten is on the disk when it resolves. */
  snapshot(): Promise<void>;
  /** Lines that did not read at the start. */
  readonly damaged: number;
  close(): Promise<void>;
};

/** A broker that lets only 32 messages be unacknowledged (EMQX without other settings) still gets a thousand a second through. */
const COMMIT_AFTER_MS = 20;
/** So many do not wait for the time. */
const COMMIT_EVENTS = 4_000;
/** A journal of so many bytes, and twice the snapshot, is begun anew: at a start all of it is read. */
const LEAST_JOURNAL_BYTES = 16 * 1024 ** 2;

const FILE = /^state\.([0-9]{10})\.(snapshot|journal)$/;
const fileOf = (generation: number, kind: 'snapshot' | 'journal'): string => `state.${String(generation).padStart(10, '0')}.${kind}`;

type Batch = { lines: string[]; promise: Promise<void>; resolve(): void; reject(error: unknown): void };

export async function openState({ disk, clock, parts, apply, settled = async () => () => undefined }: StateOptions): Promise<State> {
  const started = await boot(disk, parts, apply);
  let { generation, snapshotBytes: whole, journalBytes } = started;
  let batch: Batch = newBatch();
  let timer: { cancel(): void } | undefined;
  let failed: Refused | undefined;
  let lane: Promise<void> = Promise.resolve();
  /** One after the other: whatever touches the disk. */
  const alone = (act: (batch: Batch) => Promise<void>): Promise<void> => {
    const done = lane.then(async () => {
      const now = batch;
      batch = newBatch();
      timer?.cancel();
      timer = undefined;
      try {
        if (failed !== undefined) throw failed;
        await act(now);
        now.resolve();
      } catch (error) {
        // Memory is ahead of the disk: only a new start brings the two together.
        failed = refusedBy(error);
        now.reject(failed);
        throw failed;
      }
    });
    lane = done.catch(() => undefined);
    return done;
  };

  async function commit({ lines }: Batch): Promise<void> {
    if (lines.length === 0) return;
    const bytes = Buffer.from(lines.join(''));
    await disk.append(fileOf(generation, 'journal'), bytes);
    await disk.sync(fileOf(generation, 'journal'));
    if (journalBytes === 0) await disk.syncNames();
    journalBytes += bytes.length;
    if (journalBytes > LEAST_JOURNAL_BYTES + 2 * whole) void begin().catch(() => undefined);
  }

  const commitNow = (): void => void alone(commit).catch(() => undefined);

  /** The parts and the events that wait are of one moment, so those events are in the snapshot and need no journal. */
  const begin = (): Promise<void> =>
    alone(async () => {
      const bytes = snapshotBytes(parts);
      const stands = await settled();
      const [snapshot, journal] = [fileOf(generation + 1, 'snapshot'), fileOf(generation, 'journal')];
      await disk.remove(`${snapshot}.new`);
      await disk.append(`${snapshot}.new`, bytes);
      await disk.sync(`${snapshot}.new`);
      await disk.rename(`${snapshot}.new`, snapshot);
      await disk.syncNames();
      await disk.release(snapshot);
      await disk.remove(fileOf(generation, 'snapshot'));
      await disk.remove(journal);
      await disk.syncNames();
      stands();
      generation += 1;
      [whole, journalBytes] = [bytes.length, 0];
    });
  if (started.isNew) await begin();

  return {
    damaged: started.damaged,
    append(event) {
      if (failed !== undefined) return Promise.reject(failed);
      batch.lines.push(eventLine(event));
      if (batch.lines.length === COMMIT_EVENTS) commitNow();
      else timer ??= clock.setTimer(COMMIT_AFTER_MS, commitNow);
      return batch.promise;
    },
    snapshot: begin,
    async close() {
      await alone(commit).catch(() => undefined);
      for (const kind of ['journal', 'snapshot'] as const) await disk.release(fileOf(generation, kind));
    },
  };
}

function newBatch(): Batch {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => undefined);
  return { lines: [], promise, resolve, reject };
}

async function boot(disk: Disk, parts: readonly Part[], apply: (event: Event) => void) {
  const files = (await disk.list()).map(({ name }) => name);
  const generations = files.flatMap((name) => (FILE.exec(name)?.[2] === 'snapshot' ? Number(FILE.exec(name)?.[1]) : []));
  const generation = Math.max(0, ...generations);
  const [snapshot, journal] = [fileOf(generation, 'snapshot'), fileOf(generation, 'journal')];
  for (const name of files) if (name.startsWith('state.') && name !== snapshot && name !== journal) await disk.remove(name);
  await disk.syncNames();
  if (generations.length === 0) return { generation, snapshotBytes: 0, journalBytes: 0, damaged: 0, isNew: true };
  const bytes = await disk.read(snapshot);
  const lines = readSnapshot(bytes);
  for (const part of parts) part.restore(lines?.get(part.name) ?? []);
  const journalled = files.includes(journal) ? await disk.read(journal) : Buffer.alloc(0);
  const { events, end, damaged } = readJournal(journalled);
  for (const event of events) apply(event);
  if (end < journalled.length) {
    await disk.truncate(journal, end);
    await disk.sync(journal);
  }
  return { generation, snapshotBytes: bytes.length, journalBytes: end, damaged: damaged + (lines === undefined ? 1 : 0), isNew: false };
}
