// Starts the parts of a process in order, supervises them, and stops them in the reverse order within the grace time.
import type { Reflector } from '../kube/reflector.ts';
import type { Clock } from './clock.ts';
import type { Controller } from './controller.ts';
import type { Election } from './election.ts';
import { cacheSynced, type HealthServer, queueMoving, watchAlive } from './health.ts';
import type { Log } from './log.ts';

/** Runs until its signal aborts. Ending earlier, or throwing, ends the process: nothing dies unnoticed. */
export type Runnable = { name: string; run(signal: AbortSignal): Promise<void> };

export type ManagerOptions = {
  health: HealthServer;
  /** Without one, this process leads at once. */
  election?: Election;
  clock: Clock;
  log: Log;
  graceMs?: number;
  cacheSyncMs?: number;
};

export interface Manager {
  /** Filled before anything else runs, on standbys too; adds its readiness checks. */
  cache(reflector: Pick<Reflector<unknown>, 'kind' | 'store' | 'run' | 'whenSynced' | 'silentMs'>): void;
  /** Once, when the caches are in and before this process leads: what makes taking over quick. */
  warmUp(name: string, task: (signal: AbortSignal) => Promise<void>): void;
  /** Runs on every replica once the caches are in. */
  always(runnable: Runnable): void;
  /** Runs only while this process leads: everything that writes. */
  whileLeading(runnable: Runnable): void;
  controller(controller: Controller): void;
  /** The exit code of the process. Resolves after `signal` aborts and all have stopped, when a part failed, or at once when the Lease is lost. */
  run(signal: AbortSignal): Promise<ExitCode>;
}

type Group = 'leading' | 'always' | 'caches';

/** 75 is EX_TEMPFAIL: start it again. */
export const EXIT = { stopped: 0, failed: 1, leaseLost: 75 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** controller-runtime's defaults; the pod's terminationGracePeriodSeconds must be longer. */
const GRACE_MS = 30_000;
const CACHE_SYNC_MS = 120_000;

export function createManager(o: ManagerOptions): Manager {
  const caches: Parameters<Manager['cache']>[0][] = [];
  const warmUps: { name: string; task: (signal: AbortSignal) => Promise<void> }[] = [];
  const groups: { always: Runnable[]; leading: Runnable[] } = { always: [], leading: [] };

  async function run(outer: AbortSignal): Promise<ExitCode> {
    const stop = {
      starting: new AbortController(),
      leading: new AbortController(),
      always: new AbortController(),
      caches: new AbortController(),
    };
    const running: Record<Group, Promise<void>[]> = { leading: [], always: [], caches: [] };
    const ended = Promise.withResolvers<ExitCode>();
    const onOuter = (): void => ended.resolve(EXIT.stopped);
    if (outer.aborted) onOuter();
    outer.addEventListener('abort', onOuter, { once: true });

    const start = (group: Group, runnable: Runnable): void => {
      const { signal } = stop[group];
      running[group].push(supervise(runnable, signal, o.log, () => ended.resolve(EXIT.failed)));
    };

    const begin = async (): Promise<void> => {
      await o.health.listen();
      for (const cache of caches) start('caches', { name: `cache ${cache.kind}`, run: (signal) => cache.run(signal) });
      await whenAllSynced(caches, o.clock, stop.starting.signal, o.cacheSyncMs ?? CACHE_SYNC_MS);
      for (const runnable of groups.always) start('always', runnable);
      for (const { name, task } of warmUps) {
        o.log.debug({ name }, 'warming up');
        await task(stop.starting.signal);
      }
      if (o.election !== undefined && !(await o.election.lead(stop.starting.signal))) return;
      if (stop.starting.signal.aborted) return;
      for (const runnable of groups.leading) start('leading', runnable);
      if (o.election !== undefined && (await o.election.hold(stop.leading.signal)) === 'lost') ended.resolve(EXIT.leaseLost);
    };

    const beginning = begin().catch((err: unknown) => {
      if (stop.starting.signal.aborted) return;
      o.log.error({ err }, 'the start failed');
      ended.resolve(EXIT.failed);
    });
    const code = await ended.promise;
    outer.removeEventListener('abort', onOuter);
    return await end(code, stop, running, beginning);
  }

  async function end(
    code: ExitCode,
    stop: Record<Group | 'starting', AbortController>,
    running: Record<Group, Promise<void>[]>,
    beginning: Promise<void>,
  ): Promise<ExitCode> {
    const reason = new Error('the process stops');
    if (code === EXIT.leaseLost) {
      // Another process may lead already: nothing may be written any more, so nothing is awaited.
      o.log.error({ code: 'HR-RUN-001' }, 'the Lease was lost; the process ends now');
      for (const controller of Object.values(stop)) controller.abort(reason);
      return code;
    }
    const deadline = o.clock.elapsed() + (o.graceMs ?? GRACE_MS);
    o.log.info({ exitCode: code }, 'stopping');
    stop.starting.abort(reason);
    stop.leading.abort(reason);
    const idle = await within(o.clock, deadline, Promise.all([...running.leading, o.election === undefined ? undefined : beginning]));
    // Only when nothing of ours can write any more may a successor start.
    if (idle && o.election !== undefined) await within(o.clock, deadline, o.election.release());
    stop.always.abort(reason);
    stop.caches.abort(reason);
    const still = await within(o.clock, deadline, Promise.all([...running.always, ...running.caches, beginning]));
    await within(o.clock, deadline, o.health.close());
    if (!idle || !still) o.log.error({ code: 'HR-RUN-006' }, 'a part did not stop in time');
    return code;
  }

  return {
    cache(reflector) {
      caches.push(reflector);
      o.health.ready(cacheSynced(reflector));
      o.health.ready(watchAlive(reflector));
    },
    warmUp: (name, task) => void warmUps.push({ name, task }),
    always: (runnable) => void groups.always.push(runnable),
    whileLeading: (runnable) => void groups.leading.push(runnable),
    controller(controller) {
      groups.leading.push({ name: `controller ${controller.name}`, run: (signal) => controller.run(signal) });
      o.health.healthy(queueMoving(controller));
    },
    run,
  };
}

async function supervise(runnable: Runnable, signal: AbortSignal, log: Log, failed: () => void): Promise<void> {
  try {
    await runnable.run(signal);
    if (signal.aborted) return;
    log.error({ part: runnable.name, code: 'HR-RUN-003' }, 'a part ended by itself');
  } catch (err) {
    if (signal.aborted) return;
    log.error({ err, part: runnable.name, code: 'HR-RUN-003' }, 'a part failed');
  }
  failed();
}

async function whenAllSynced(
  caches: { kind: string; store: { synced: boolean }; whenSynced(signal: AbortSignal): Promise<void> }[],
  clock: Clock,
  signal: AbortSignal,
  limitMs: number,
): Promise<void> {
  const all = Promise.all(caches.map((cache) => cache.whenSynced(signal)));
  if (await within(clock, clock.elapsed() + limitMs, all)) {
    await all;
    return;
  }
  const missing = caches.filter((cache) => !cache.store.synced).map((cache) => cache.kind);
  throw new Error(`HR-RUN-002 the caches were not filled within ${limitMs / 1000} s: ${missing.join(', ')}`);
}

/** False when the deadline came first. A rejection counts as ended. */
async function within(clock: Clock, deadlineAt: number, work: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = clock.setTimer(Math.max(0, deadlineAt - clock.elapsed()), () => late.resolve(false));
  try {
    return await Promise.race([
      work.then(
        () => true,
        () => true,
      ),
      late.promise,
    ]);
  } finally {
    timer.cancel();
  }
}
