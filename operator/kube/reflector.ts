// Keeps a store equal to what the API server holds of one kind. Never dies: every failure leads to another request, each one paced by the back-off.
import type { ResourceType } from '../api/meta.ts';
import { createBackoff } from './backoff.ts';
import { type KubeClient, PAGE_SIZE } from './client.ts';
import { codeOf } from './errors.ts';
import { createIdleGuard } from './idle-guard.ts';
import { createIntake } from './intake.ts';
import type { KubeObject } from './object.ts';
import type { Clock, KubeMetrics, Log, Random } from './ports.ts';
import { type Ending, endingOf, initialState, next, type State } from './reflector-state.ts';
import { revivalOf } from './revival.ts';
import { type Change, createStore, type Indexes, type Projected, type Store } from './store.ts';
import { createWatchDecoder, type WatchEvent } from './watch-stream.ts';

export type ReflectorOptions<T extends KubeObject, P extends Projected> = {
  client: Pick<KubeClient, 'listPage' | 'watch'>;
  type: ResourceType;
  /** In metrics, logs and health where two reflectors read the same type. Default: its plural. */
  name?: string;
  /** Called for each object that comes in; keep what is needed and nothing of the object itself. Must be pure and quick. */
  project: (object: T) => P;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Fetch only `metadata` (PartialObjectMetadata). */
  metadataOnly?: boolean;
  indexes?: Indexes<P>;
  /** Called synchronously after the store changed. A throw is logged and harms nobody. */
  onChange?: (change: Change<P>) => void;
  /** Take in the first state by WatchList where the server can (default), or page by page. */
  streaming?: boolean;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: KubeMetrics;
};

export interface Reflector<P> {
  readonly store: Store<P>;
  readonly kind: string;
  /** Another listener; it is not told what happened before. */
  subscribe(listener: (change: Change<P>) => void): void;
  /** Resolves when the signal aborts, and never earlier. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves once the first complete state is in; rejects with the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
  /** ms since the server last sent anything on this watch: over two minutes means that the store may be old. */
  silentMs(): number;
}

/** kube-rs uses 290 s, client-go 300-600: at random, so that the watches of a fleet do not all end in one second. */
const watchSeconds = (random: Random): number => Math.round(240 + 55 * random());
/** The server sends a bookmark about every minute: silence longer than 90-120 s is a dead connection. */
const idleLimitMs = (random: Random): number => 90_000 + 30_000 * random();
/** controller-runtime's CacheSyncTimeout. A server that never sends the bookmark which ends the initial events does not know WatchList. */
const INITIAL_EVENTS_LIMIT_MS = 120_000;
/** What is wrong with a version that a watch wants to go on from, the server says at once. */
const ACCEPTED_MS = 250;
/** A watch that lasted this long was none that the server refused. */
const HEALTHY_MS = 1000;
/** Leases, probes and MQTT keep-alives must be on time while 100k objects come in. */
const YIELD_EVERY_MS = 5;

/** Servers that refused WatchList once are not asked again. */
const withoutWatchList = new WeakSet<object>();

export function createReflector<T extends KubeObject, P extends Projected>(o: ReflectorOptions<T, P>): Reflector<P> {
  const kind = o.name ?? o.type.plural;
  const log = o.log.child({ kind });
  const store = createStore<P>(o.indexes);
  const intake = createIntake<T, P>({ store, project: o.project, log });
  if (o.onChange !== undefined) intake.subscribe(o.onChange);
  const selection = { ...pick(o, 'namespace'), ...pick(o, 'labelSelector'), ...pick(o, 'fieldSelector'), ...pick(o, 'metadataOnly') };
  const synced = Promise.withResolvers<void>();
  const revival = revivalOf(o.client);
  let failing = false;
  let lastHeardAt = o.clock.elapsed();
  let lastYieldAt = lastHeardAt;
  o.metrics.watchAge(kind, () => (o.clock.elapsed() - lastHeardAt) / 1000);

  async function run(signal: AbortSignal): Promise<void> {
    const backoff = createBackoff(o.random);
    let state = initialState(streaming());
    let anew = false;
    while (!signal.aborted) {
      const { ending, healthyMs, error } = await perform(state, signal);
      if (signal.aborted) return;
      const after = next(state, ending, streaming());
      // A server that was restarted keeps no versions: the state is taken in anew at once, but not over and over.
      const tooOld = ending.kind === 'gone' && state.phase === 'watching';
      const progress = ending.kind === 'page' || ending.kind === 'listed' || ending.kind === 'unsupported' || (tooOld && !anew);
      anew = tooOld || (anew && healthyMs < HEALTHY_MS);
      const delayMs = progress ? 0 : backoff.next(healthyMs);
      report(state, after, ending, delayMs, error);
      state = after;
      failing ||= error !== undefined;
      if (delayMs > 0) await revival.wait(o.clock, delayMs, signal);
    }
  }

  const streaming = (): boolean => o.streaming !== false && !withoutWatchList.has(o.client);

  type Result = { ending: Ending; healthyMs: number; error?: unknown };

  async function perform(state: State, signal: AbortSignal): Promise<Result> {
    if (state.phase === 'watching' || (state.phase === 'empty' && state.how === 'stream')) return await follow(state, signal);
    try {
      return { ending: await takePage(state, signal), healthyMs: 0 };
    } catch (error) {
      return { ending: endingOf(error, state, ''), healthyMs: 0, error };
    }
  }

  async function takePage(state: State, signal: AbortSignal): Promise<Ending> {
    if (state.phase === 'empty') intake.begin();
    const token = state.phase === 'paging' ? { continueToken: state.continueToken } : {};
    const page = await o.client.listPage<T>(o.type, { ...selection, ...token, limit: PAGE_SIZE }, signal);
    lastHeardAt = o.clock.elapsed();
    for (const object of page.items) {
      intake.put(object);
      await breathe();
    }
    if (page.continueToken !== undefined) return { kind: 'page', continueToken: page.continueToken };
    complete();
    return { kind: 'listed', resourceVersion: page.resourceVersion };
  }

  /** One watch from its request to its end. A WatchList is the same watch with the whole state in front. */
  async function follow(state: State, signal: AbortSignal): Promise<Result> {
    let resourceVersion = state.phase === 'watching' ? state.resourceVersion : '';
    const initial = resourceVersion === '';
    if (initial) intake.begin();
    const startedAt = o.clock.elapsed();
    lastHeardAt = startedAt;
    const result = (ending: Ending, error?: unknown): Result => ({
      ending,
      healthyMs: lastHeardAt - startedAt,
      ...(error === undefined ? {} : { error }),
    });
    using guard = createIdleGuard(o.clock, signal, idleLimitMs(o.random), () => lastHeardAt);
    let accepted: { cancel(): void } | undefined;
    const decoder = createWatchDecoder<T>((event) => {
      resourceVersion = take(event, resourceVersion);
    });
    try {
      const body = await o.client.watch(
        o.type,
        { ...selection, timeoutSeconds: watchSeconds(o.random), ...(initial ? { sendInitialEvents: true } : { resourceVersion }) },
        guard.signal,
      );
      // A quiet kind may have nothing to say for a minute.
      if (!initial) accepted = o.clock.setTimer(ACCEPTED_MS, works);
      for await (const chunk of body) {
        lastHeardAt = o.clock.elapsed();
        decoder.push(chunk);
        o.metrics.storeObjects(kind, store.size);
        if (initial && resourceVersion === '' && lastHeardAt - startedAt > INITIAL_EVENTS_LIMIT_MS) return result({ kind: 'unsupported' });
        await breathe();
      }
      if (guard.fired) return result({ kind: 'idle', resourceVersion });
      return result(decoder.pendingBytes > 0 ? { kind: 'cut', resourceVersion } : { kind: 'ended', resourceVersion });
    } catch (error) {
      return result(guard.fired ? { kind: 'idle', resourceVersion } : endingOf(error, state, resourceVersion), error);
    } finally {
      accepted?.cancel();
    }
  }

  /** Takes one event in and gives the version that the watch has reached; `''` until the initial state is complete. */
  function take(event: WatchEvent<T>, reached: string): string {
    switch (event.type) {
      case 'ERROR':
        throw event.error;
      case 'BOOKMARK':
        if (reached === '' && !event.initialEventsEnd) return '';
        if (reached === '') complete();
        return event.resourceVersion;
      case 'DELETED':
        intake.remove(event.object);
        break;
      default:
        intake.put(event.object);
    }
    return reached === '' ? '' : (event.object.metadata.resourceVersion ?? reached);
  }

  function works(): void {
    if (failing) revival.works(o.clock);
    failing = false;
  }

  /** The whole state is in: what it did not show is deleted. */
  function complete(): void {
    intake.finish();
    o.metrics.storeObjects(kind, store.size);
    synced.resolve();
    works();
  }

  async function breathe(): Promise<void> {
    if (o.clock.elapsed() - lastYieldAt < YIELD_EVERY_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    lastYieldAt = o.clock.elapsed();
  }

  function report(before: State, after: State, ending: Ending, delayMs: number, err: unknown): void {
    if (ending.kind === 'unsupported') withoutWatchList.add(o.client);
    if (before.phase === 'watching' || ending.kind === 'ended') o.metrics.watchEnded(kind, ending.kind);
    if (before.phase === 'empty' && ending.kind !== 'unsupported') o.metrics.relisted(kind, before.why);
    if (err === undefined) {
      log.debug({ ending: ending.kind, next: after.phase, delayMs }, 'request ended');
      return;
    }
    const code = codeOf(err, before.phase === 'empty');
    log.warn(
      { ending: ending.kind, next: after.phase, delayMs, err, ...(code === undefined ? {} : { code }) },
      'the watch of this kind was interrupted; it goes on',
    );
  }

  return {
    store,
    kind,
    subscribe: intake.subscribe,
    run,
    silentMs: () => o.clock.elapsed() - lastHeardAt,
    whenSynced: (signal) => orAborted(synced.promise, signal),
  };
}

function pick<O extends object, K extends keyof O>(o: O, field: K): Partial<Pick<O, K>> {
  return o[field] === undefined ? {} : ({ [field]: o[field] } as unknown as Pick<O, K>);
}

async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
