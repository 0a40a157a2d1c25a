// Keys that want to be reconciled: each at most once, user changes before background work, never two at a time, with a memory for failures.
// Semantics of controller-runtime's priorityqueue and client-go's workqueue; no values, so that nothing in it can be old.
import type { Key } from '../kube/object.ts';
import type { Clock } from './clock.ts';
import { createDelayHeap } from './delay-heap.ts';
import { createFifo } from './fifo.ts';
import type { QueueMetrics } from './metrics.ts';

/** `user`: somebody waits for it. `background`: start-up, resync, renewals. */
export type Band = 'user' | 'background';

export type AddOptions = { band?: Band; afterMs?: number };

export interface WorkQueue {
  /** Added again while it waits: the better band and the shorter delay hold. Added while it is worked on: remembered, and worked on once more afterwards. */
  add(key: Key, options?: AddOptions): void;
  /** The next key that is due, or `undefined`. It must be given back by `finish`. */
  take(): Taken | undefined;
  /** `retry` adds it again after its back-off; the others forget its failures. */
  finish(key: Key, how: 'done' | 'retry' | { afterMs: number }): void;
  /** Called whenever a key may have become due. */
  onReady(listener: () => void): void;
  /** Keys that wait, due or not, without those being worked on. */
  readonly size: number;
  longestRunningMs(): number;
}

export type Taken = { key: Key; band: Band /** 1 for the first try since the last success. */; attempt: number };

/** client-go's DefaultTypedControllerRateLimiter. */
const RETRY_BASE_MS = 5;
const RETRY_CAP_MS = 1_000_000;
/** One background key after so many user keys in a row, so that steady user traffic delays resync but cannot stop it. */
const USER_TURNS = 32;

type Entry = {
  key: Key;
  state: 'delayed' | 'due' | 'running';
  band: Band;
  /** When it becomes or became due, by `clock.elapsed()`. */
  dueAt: number;
  startedAt: number;
  /** Added while running. */
  again: { band: Band; dueAt: number } | undefined;
};

export function createQueue(deps: { clock: Clock; metrics?: QueueMetrics }): WorkQueue {
  const { clock, metrics } = deps;
  const entries = new Map<Key, Entry>();
  const failures = new Map<Key, number>();
  const due = { user: createFifo<Entry>(), background: createFifo<Entry>() };
  const dueCount = { user: 0, background: 0 };
  const delayed = createDelayHeap<Entry>();
  const running = new Set<Entry>();
  const listeners: (() => void)[] = [];
  let timer: { at: number; cancel(): void } | undefined;
  let userTurns = 0;
  metrics?.running(
    () => sumSeconds(running, clock.elapsed()),
    () => longestRunningMs() / 1000,
  );

  function place(entry: Entry, band: Band, dueAt: number): void {
    if (entry.state === 'due') metrics?.depth(entry.band, --dueCount[entry.band]);
    entry.band = band;
    entry.dueAt = dueAt;
    if (dueAt > clock.elapsed()) {
      entry.state = 'delayed';
      delayed.push(dueAt, entry);
      arm();
      return;
    }
    entry.state = 'due';
    dueCount[band]++;
    due[band].push(entry);
    metrics?.depth(band, dueCount[band]);
    for (const listener of listeners) listener();
  }

  function add(key: Key, options: AddOptions = {}): void {
    const band = options.band ?? 'user';
    const dueAt = clock.elapsed() + Math.max(0, options.afterMs ?? 0);
    metrics?.added();
    const entry = entries.get(key);
    if (entry === undefined) {
      const fresh: Entry = { key, state: 'delayed', band, dueAt, startedAt: 0, again: undefined };
      entries.set(key, fresh);
      place(fresh, band, dueAt);
    } else if (entry.state === 'running') {
      entry.again = { band: better(band, entry.again?.band), dueAt: Math.min(dueAt, entry.again?.dueAt ?? dueAt) };
    } else if (entry.state === 'due') {
      if (better(band, entry.band) !== entry.band) place(entry, band, entry.dueAt);
    } else if (dueAt < entry.dueAt || better(band, entry.band) !== entry.band) {
      place(entry, better(band, entry.band), Math.min(dueAt, entry.dueAt));
    }
  }

  /** Moves what has become due from the heap; a heap entry that its key has outrun is dropped. */
  function promote(): void {
    const now = clock.elapsed();
    for (let first = delayed.peek(); first !== undefined && first.at <= now; first = delayed.peek()) {
      delayed.pop();
      const entry = first.item;
      if (entry.state === 'delayed' && entry.dueAt === first.at) place(entry, entry.band, entry.dueAt);
    }
    arm();
  }

  function arm(): void {
    const first = delayed.peek();
    if (first === undefined || (timer !== undefined && timer.at <= first.at)) return;
    timer?.cancel();
    const handle = clock.setTimer(first.at - clock.elapsed(), () => {
      timer = undefined;
      promote();
    });
    timer = { at: first.at, cancel: () => handle.cancel() };
  }

  function nextEntry(): Entry | undefined {
    const backgroundsTurn = userTurns >= USER_TURNS && dueCount.background > 0;
    const order: Band[] = backgroundsTurn ? ['background', 'user'] : ['user', 'background'];
    for (const band of order) {
      // A place in the line is void when its key was taken, or moved to the other band, since.
      const entry = due[band].shiftWhere(
        (candidate) => candidate.state === 'due' && candidate.band === band && entries.get(candidate.key) === candidate,
      );
      if (entry === undefined) continue;
      userTurns = band === 'user' ? userTurns + 1 : 0;
      return entry;
    }
    return undefined;
  }

  function take(): Taken | undefined {
    const entry = nextEntry();
    if (entry === undefined) return undefined;
    const now = clock.elapsed();
    dueCount[entry.band]--;
    entry.state = 'running';
    entry.startedAt = now;
    running.add(entry);
    metrics?.depth(entry.band, dueCount[entry.band]);
    metrics?.waited((now - entry.dueAt) / 1000);
    return { key: entry.key, band: entry.band, attempt: (failures.get(entry.key) ?? 0) + 1 };
  }

  function finish(key: Key, how: 'done' | 'retry' | { afterMs: number }): void {
    const entry = entries.get(key);
    if (entry?.state !== 'running') throw new Error(`"${key}" is not being worked on`);
    const { again, band } = entry;
    running.delete(entry);
    entries.delete(key);
    metrics?.worked((clock.elapsed() - entry.startedAt) / 1000);
    if (how === 'retry') {
      add(key, { band, afterMs: failedAgain(key) });
      metrics?.retried();
    } else {
      failures.delete(key);
      if (how !== 'done') add(key, { band: 'background', afterMs: how.afterMs });
    }
    if (again !== undefined) add(key, { band: again.band, afterMs: again.dueAt - clock.elapsed() });
  }

  function failedAgain(key: Key): number {
    const before = failures.get(key) ?? 0;
    failures.set(key, before + 1);
    return Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** before);
  }

  function longestRunningMs(): number {
    const now = clock.elapsed();
    let longest = 0;
    for (const entry of running) longest = Math.max(longest, now - entry.startedAt);
    return longest;
  }

  return {
    add,
    take,
    finish,
    onReady: (listener) => {
      listeners.push(listener);
    },
    get size() {
      return entries.size - running.size;
    },
    longestRunningMs,
  };
}

const better = (a: Band, b: Band | undefined): Band => (a === 'user' || b === 'user' ? 'user' : 'background');

function sumSeconds(entries: Iterable<Entry>, now: number): number {
  let sum = 0;
  for (const entry of entries) sum += (now - entry.startedAt) / 1000;
  return sum;
}
