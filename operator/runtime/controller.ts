// Runs one reconcile function over one queue: so many at a time, never two of one key, each with a deadline; a throw is logged, counted and retried.
import { isConflict, isNamespaceTerminating, KubeError } from '../kube/errors.ts';
import type { Key } from '../kube/object.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { ControllerMetrics, Metrics, ReconcileResult } from './metrics.ts';
import type { Outcome } from './outcome.ts';
import { createQueue, type Taken, type WorkQueue } from './queue.ts';
import { untilAborted } from './until-aborted.ts';

export type ReconcileContext = {
  /** Aborts at the deadline and when the process stops; hand it to every call. */
  signal: AbortSignal;
  log: Log;
  /** 1 for the first try since the last success. */
  attempt: number;
};

export type ControllerOptions = {
  name: string;
  concurrency: number;
  /** Gets a key and never an object: what is true is in the stores by now. */
  reconcile: (key: Key, ctx: ReconcileContext) => Promise<Outcome>;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  timeoutMs?: number;
};

export interface Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  /** Works until the signal aborts, then waits for the reconciles in flight (they were told to abort). Keys may be added before. */
  run(signal: AbortSignal): Promise<void>;
}

/** Longer than the 60 s that one page of a list may take. */
const TIMEOUT_MS = 90_000;
/** A conflict is the normal way to learn that the store was old: from this attempt on it is worth a warning. */
const CONFLICTS_TO_WARN = 5;

export function createController(o: ControllerOptions): Controller {
  const metrics = o.metrics.controller(o.name);
  const queue = createQueue({ clock: o.clock, metrics: o.metrics.queue(o.name) });
  const log = o.log.child({ controller: o.name });
  const inFlight = new Set<Promise<void>>();
  let stop: AbortSignal | undefined;
  metrics.limit(o.concurrency);

  function pump(): void {
    while (stop !== undefined && !stop.aborted && inFlight.size < o.concurrency) {
      const taken = queue.take();
      if (taken === undefined) return;
      const work = workOn(taken, stop).finally(() => {
        inFlight.delete(work);
        metrics.active(inFlight.size);
        pump();
      });
      inFlight.add(work);
      metrics.active(inFlight.size);
    }
  }

  /** Never rejects. */
  async function workOn(taken: Taken, stopping: AbortSignal): Promise<void> {
    const { key, attempt } = taken;
    const startedAt = o.clock.elapsed();
    const own = log.child({ key });
    const deadline = createDeadline(o.clock, stopping, o.timeoutMs ?? TIMEOUT_MS);
    let result: ReconcileResult = 'error';
    try {
      const outcome = await o.reconcile(key, { signal: deadline.signal, log: own, attempt });
      result = resultOf(outcome);
      if (outcome.kind === 'stalled') metrics.failed('terminal');
      own.debug({ outcome }, 'reconciled');
      queue.finish(key, 'afterMs' in outcome ? { afterMs: outcome.afterMs } : 'done');
    } catch (err) {
      if (!stopping.aborted) explain(err, attempt, deadline.missed, own, metrics);
      queue.finish(key, 'retry');
    } finally {
      deadline.clear();
      metrics.reconciled(result, (o.clock.elapsed() - startedAt) / 1000);
    }
  }

  queue.onReady(pump);

  return {
    name: o.name,
    queue,
    async run(signal) {
      stop = signal;
      pump();
      await untilAborted(signal);
      await Promise.allSettled([...inFlight]);
    },
  };
}

function explain(err: unknown, attempt: number, missed: boolean, log: Log, metrics: ControllerMetrics): void {
  metrics.failed('error');
  if (missed) {
    metrics.failed('timeout');
    log.error({ err, attempt, code: 'HR-RUN-005' }, 'a reconcile missed its deadline; it is retried');
    return;
  }
  if (isConflict(err) && attempt < CONFLICTS_TO_WARN) {
    log.debug({ attempt }, 'somebody else wrote first; it is retried');
    return;
  }
  if (isNamespaceTerminating(err)) {
    log.debug({ attempt }, 'the namespace is being deleted; it is tried again until the object is gone too');
    return;
  }
  // What the API server refused is an answer; a TypeError is a defect: Go would have panicked.
  if (!(err instanceof KubeError) && (err instanceof TypeError || err instanceof RangeError || err instanceof ReferenceError))
    metrics.failed('panic');
  log.error({ err, attempt, code: 'HR-RUN-004' }, 'a reconcile failed; it is retried');
}

function resultOf(outcome: Outcome): ReconcileResult {
  return outcome.kind === 'done' || outcome.kind === 'stalled' ? 'success' : 'requeue_after';
}

function createDeadline(clock: Clock, parent: AbortSignal, timeoutMs: number) {
  const controller = new AbortController();
  let missed = false;
  const stop = (): void => controller.abort(parent.reason);
  if (parent.aborted) stop();
  parent.addEventListener('abort', stop, { once: true });
  const timer = clock.setTimer(timeoutMs, () => {
    missed = true;
    controller.abort(new Error(`the reconcile took longer than ${timeoutMs / 1000} s`));
  });
  return {
    signal: controller.signal,
    get missed() {
      return missed;
    },
    clear() {
      timer.cancel();
      parent.removeEventListener('abort', stop);
    },
  };
}
