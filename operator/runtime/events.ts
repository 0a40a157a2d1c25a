// Events for people (events.k8s.io/v1): aggregated, limited per object, sent in the background. Never throws, never blocks; what is over the budget is dropped and counted.
import { createHash } from 'node:crypto';
import { EVENTS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from './clock.ts';
import { type Log, redactText } from './log.ts';
import type { Metrics } from './metrics.ts';
import { createTokenBucket, type TokenBucket } from './token-bucket.ts';

export type Regarding = { apiVersion: string; kind: string; name: string; namespace?: string; uid?: string };

export type EventNote = {
  type: 'Normal' | 'Warning';
  /** A constant, equal to the reason of the condition it belongs to. */
  reason: string;
  message: string;
  /** What was done or tried, such as `Issue`, `Ban`. */
  action: string;
};

export interface Recorder {
  event(regarding: Regarding, note: EventNote): void;
  /** Sends what is due until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export type RecorderOptions = {
  client: Pick<KubeClient, 'create' | 'mergePatch'>;
  controller: string;
  instance: string;
  clock: Clock;
  log: Log;
  metrics: Pick<Metrics, 'events'>;
};

/** client-go's spam filter: 25 at once, then one in 5 minutes for each object. */
const BURST = 25;
const REFILL_EVERY_MS = 300_000;
/** client-go's events broadcaster: repeats within 6 minutes are one series, and its count is written so often. */
const SERIES_WINDOW_MS = 360_000;
const SERIES_WRITE_EVERY_MS = 60_000;
const MAX_PENDING = 1000;
const MAX_REMEMBERED = 4096;
/** The API's limit for `note`. */
const MAX_NOTE = 1024;

type Series = {
  name: string;
  namespace: string;
  count: number;
  written: number;
  firstAt: number;
  lastAt: number;
  lastWallMs: number;
  writtenAt: number;
};

export function createRecorder(o: RecorderOptions): Recorder {
  const seen = new Map<string, Series>();
  const buckets = new Map<string, TokenBucket>();
  const pending: (() => Promise<unknown>)[] = [];
  let wake: () => void = () => undefined;

  function event(regarding: Regarding, note: EventNote): void {
    try {
      const id = [
        regarding.kind,
        regarding.namespace,
        regarding.name,
        regarding.uid,
        note.type,
        note.reason,
        note.action,
        note.message,
      ].join('\n');
      const now = o.clock.elapsed();
      const series = seen.get(id);
      if (series !== undefined && now - series.lastAt < SERIES_WINDOW_MS) {
        series.count++;
        series.lastAt = now;
        series.lastWallMs = o.clock.now();
        return;
      }
      if (!bucketOf(regarding).take() || pending.length >= MAX_PENDING) {
        o.metrics.events('dropped');
        return;
      }
      const fresh: Series = {
        ...nameOf(regarding, id, o.clock.now()),
        count: 1,
        written: 1,
        firstAt: now,
        lastAt: now,
        lastWallMs: o.clock.now(),
        writtenAt: now,
      };
      remember(id, fresh);
      const body = eventObject(o, regarding, note, fresh);
      pending.push(() => o.client.create(EVENTS, body));
      wake();
    } catch (err) {
      o.log.warn({ err, reason: note.reason }, 'an event could not be made');
    }
  }

  function bucketOf(regarding: Regarding): TokenBucket {
    const id = `${regarding.kind}/${regarding.namespace ?? ''}/${regarding.name}`;
    const known = buckets.get(id);
    if (known !== undefined) return known;
    if (buckets.size >= MAX_REMEMBERED) for (const [other, bucket] of buckets) if (bucket.full()) buckets.delete(other);
    const bucket = createTokenBucket({ burst: BURST, refillEveryMs: REFILL_EVERY_MS, clock: o.clock });
    // Full of buckets in use: an object that is not remembered gets one for this event only.
    if (buckets.size < MAX_REMEMBERED) buckets.set(id, bucket);
    return bucket;
  }

  function remember(id: string, series: Series): void {
    seen.delete(id);
    const oldest = seen.size >= MAX_REMEMBERED ? seen.keys().next().value : undefined;
    if (oldest !== undefined) seen.delete(oldest);
    seen.set(id, series);
  }

  /** Series that grew since they were last written; finished ones are forgotten. */
  function queueSeries(): void {
    const now = o.clock.elapsed();
    for (const [id, series] of seen) {
      if (series.count > series.written && now - series.writtenAt >= SERIES_WRITE_EVERY_MS && pending.length < MAX_PENDING) {
        series.written = series.count;
        series.writtenAt = now;
        const patch = { series: { count: series.count, lastObservedTime: microTime(series.lastWallMs) } };
        pending.push(() => o.client.mergePatch(EVENTS, { name: series.name, namespace: series.namespace }, patch));
      } else if (now - series.lastAt >= SERIES_WINDOW_MS) seen.delete(id);
    }
  }

  async function send(write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
      o.metrics.events('sent');
    } catch (err) {
      // The event may have expired (1 h), its namespace may be going: an event is never worth a retry beyond the transport's own.
      o.metrics.events('failed');
      if (!isNotFound(err)) o.log.debug({ err }, 'an event could not be written');
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (let write = pending.shift(); write !== undefined && !signal.aborted; write = pending.shift()) await send(write);
      await restUntil(o.clock, SERIES_WRITE_EVERY_MS, signal, (listener) => {
        wake = listener;
      });
      queueSeries();
    }
  }

  return { event, run };
}

function eventObject(o: RecorderOptions, regarding: Regarding, note: EventNote, series: Series): KubeObject {
  const event = {
    metadata: { name: series.name, namespace: series.namespace },
    eventTime: microTime(series.lastWallMs),
    reportingController: o.controller,
    reportingInstance: o.instance,
    action: note.action,
    reason: note.reason,
    regarding,
    note: cut(redactText(note.message)),
    type: note.type,
  };
  return event;
}

/** Events about cluster-scoped objects live in `default`, as client-go puts them. */
function nameOf(regarding: Regarding, id: string, wallMs: number): { name: string; namespace: string } {
  const hash = createHash('sha256').update(`${id}\n${wallMs}`).digest('hex').slice(0, 16);
  return { name: `${regarding.name.slice(0, 230)}.${hash}`, namespace: regarding.namespace ?? 'default' };
}

/** metav1.MicroTime. */
export const microTime = (wallMs: number): string => new Date(wallMs).toISOString().replace('Z', '000Z');

/** To the limit in bytes, as the API server counts. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= MAX_NOTE) return text;
  return `${Buffer.from(text)
    .subarray(0, MAX_NOTE - 8)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}…`;
}

/** Ends after `ms`, when `wake` is called, or when the signal aborts; never rejects. */
function restUntil(clock: Clock, ms: number, signal: AbortSignal, setWake: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimer(ms, end);
    signal.addEventListener('abort', end, { once: true });
    setWake(end);
  });
}
