// The driver at work: what has come goes into the core, and what the core says goes out, as long as this process may act.
import type { FirmwareRecord } from '../api/device.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { equalJson } from '../runtime/merge-patch.ts';
import type { Core, DeviceEnd, Tick } from './core.ts';
import type { Order } from './directives.ts';
import type { DriverMetrics } from './driver-metrics.ts';
import type { DevicesPort, LeasePort, MqttPort, ShardReport, WavePort } from './ports.ts';

export type LoopDeps = {
  core: Core;
  mqtt: MqttPort;
  devices: DevicesPort;
  wave: WavePort;
  lease: LeasePort;
  /** The bytes of a directive; undefined, and said in the log, where it cannot be signed. */
  sign(order: Order): Uint8Array | undefined;
  shard: number;
  shards: number;
  fence: number;
  clock: Clock;
  log: Log;
  metrics: DriverMetrics;
};

/** Done: nothing is left to do, and it stands in the wave. Over: the wave is. Changed, Superseded, LeaseLost: somebody else goes on. */
export type Ending = 'Done' | 'Over' | 'Changed' | 'Superseded' | 'LeaseLost' | 'Stopped';

/** What the broker keeps has come when nothing of it has for so long, and at the latest after the other. */
const QUIET_MS = 2000;
const LONGEST_GATHERING_MS = 60_000;
const REPORT_MS = 10_000;
/** A Lease that is lost, or a clock that was set, is noticed within this. */
const LONGEST_WAIT_MS = 5000;
/** Between so many, the connection has its turn: what it does not take in time the broker drops. */
const MOST_MESSAGES = 200;
const TURN_MS = 1;
/** So many directives, and then a pause: devices answer at once, and the broker keeps only so many answers for one who is slow. */
const MOST_IN_A_ROW = 50;
const PAUSE_MS = 250;
const MOST_WRITES = 16;
/** All drivers of a wave together at most 20. */
const SAMPLES = 20;

export async function drive(deps: LoopDeps, stop: AbortSignal): Promise<Ending> {
  const { core, mqtt, devices, wave, lease, clock, log, metrics } = deps;
  const wake = createWake(clock);
  const writer = createWriter(deps, wake.now, stop);
  const reporter = createReporter(deps, stop);
  let gathering: { since: number; quietSince: number } | undefined;
  let decided: Ending | undefined;
  const now = wallClock(clock);

  devices.onChange(({ uid, facts }) => {
    if (facts === undefined) core.gone(uid);
    else core.device(facts, now());
    wake.now();
  });
  wave.onChange((change) => {
    if (change.how === 'Paced') core.paced(change.spec);
    else decided ??= change.how;
    wake.now();
  });
  mqtt.onChange((what) => {
    if (what === 'Connected') {
      core.connected();
      gathering = { since: clock.elapsed(), quietSince: clock.elapsed() };
    }
    if (what === 'Lost') gathering = undefined;
    wake.now();
  });
  stop.addEventListener('abort', wake.now, { once: true });

  function hear(): boolean {
    const messages = mqtt.take(MOST_MESSAGES);
    for (const { topic, bytes, properties, isRetained } of messages) {
      core.heard(topic, bytes, properties, now());
      if (isRetained && gathering !== undefined) gathering.quietSince = clock.elapsed();
    }
    metrics.heard(messages.length);
    return messages.length > 0;
  }

  function gather(): void {
    if (gathering === undefined) return;
    const at = clock.elapsed();
    if (at - gathering.quietSince < QUIET_MS && at - gathering.since < LONGEST_GATHERING_MS) return;
    gathering = undefined;
    core.gathered(now());
    log.info({ shard: deps.shard, fence: deps.fence }, 'what the broker keeps has come');
  }

  async function once(): Promise<Ending | undefined> {
    if (stop.aborted) return 'Stopped';
    if (!lease.held()) return 'LeaseLost';
    if (decided !== undefined) return decided;
    const hasMore = hear();
    gather();
    const tick = core.tick(now());
    if (tick.isSuperseded) return 'Superseded';
    metrics.ticked(tick.counts, core.refused);
    await publishAll(deps, tick.publish, stop);
    writer.add(tick.record);
    await reporter.report(tick, writer.isIdle());
    if (tick.phase === 'Done' && writer.isIdle() && reporter.isTold(tick)) return 'Done';
    if (hasMore) await clock.sleep(TURN_MS, stop).catch(() => undefined);
    else await wake.wait(waitOf(tick, gathering !== undefined || writer.isRetrying(), now()), stop);
    return undefined;
  }

  for (;;) {
    const ending = await once();
    if (ending === undefined) continue;
    // What was begun comes to its end: nothing is half written.
    if (ending !== 'LeaseLost' && ending !== 'Superseded') await writer.settled();
    if (ending === 'Stopped' && lease.held()) await reporter.last(core.tick(now()));
    return ending;
  }
}

const waitOf = ({ next }: Tick, isSoon: boolean, now: number): number =>
  Math.max(0, Math.min(isSoon ? 250 : LONGEST_WAIT_MS, (next ?? Number.POSITIVE_INFINITY) - now));

/** A wall clock that never goes back: deadlines of hours are kept when somebody sets the time. */
function wallClock(clock: Clock): () => number {
  const [wall, elapsed] = [clock.now(), clock.elapsed()];
  return () => Math.floor(wall + clock.elapsed() - elapsed);
}

/** As long as this process may: what is not sent any more is the next driver's. */
async function publishAll(deps: LoopDeps, orders: readonly Order[], stop: AbortSignal): Promise<void> {
  for (let at = 0; at < orders.length; at += MOST_IN_A_ROW) {
    if (at > 0) await deps.clock.sleep(PAUSE_MS, stop).catch(() => undefined);
    if (stop.aborted || !deps.lease.held()) return;
    await publish(deps, orders.slice(at, at + MOST_IN_A_ROW));
  }
}

/** One batch: all are on their way before the first is answered. What the broker did not take is sent again after the next connect. */
async function publish({ mqtt, sign, log, metrics }: LoopDeps, orders: readonly Order[]): Promise<void> {
  const sent = orders.map(async (order) => {
    const bytes = sign(order);
    if (bytes === undefined) return;
    await mqtt.publish(order.topic, bytes, order.properties);
    metrics.published(order.directive.action);
  });
  const failed = (await Promise.allSettled(sent)).filter(({ status }) => status === 'rejected');
  if (failed.length > 0) log.warn({ count: failed.length }, 'the broker did not take directives; they are sent again');
}

type Writer = { add(ends: readonly DeviceEnd[]): void; isIdle(): boolean; isRetrying(): boolean; settled(): Promise<void> };

/** Ends of devices, a few at a time; one that fails is written later. */
function createWriter({ core, devices, lease, log, metrics, clock }: LoopDeps, wake: () => void, stop: AbortSignal): Writer {
  const waiting: DeviceEnd[] = [];
  const running = new Set<Promise<void>>();
  let failedAt: number | undefined;

  async function write(end: DeviceEnd): Promise<void> {
    try {
      const stands: FirmwareRecord | undefined = await devices.record(end, AbortSignal.any([stop]));
      metrics.recorded(end.record.result ?? 'none');
      if (stands === undefined) core.gone(end.uid);
      else core.recorded(end.uid, stands);
    } catch (err) {
      if (!stop.aborted)
        log.warn({ err, device: `${end.namespace}/${end.name}` }, 'the status of a Device could not be written; it is tried again');
      failedAt = clock.elapsed();
      core.notRecorded(end.uid);
    }
  }
  function next(): void {
    while (running.size < MOST_WRITES && lease.held() && !stop.aborted) {
      const end = waiting.shift();
      if (end === undefined) return;
      const task = write(end).then(() => {
        running.delete(task);
        next();
        wake();
      });
      running.add(task);
    }
  }
  return {
    add(ends) {
      waiting.push(...ends);
      next();
    },
    isIdle: () => waiting.length + running.size === 0,
    isRetrying: () => failedAt !== undefined && clock.elapsed() - failedAt < LONGEST_WAIT_MS,
    async settled() {
      waiting.length = 0;
      await Promise.allSettled(running);
    },
  };
}

/** The driver's entry in the wave: when a count has changed, and then no oftener than it may, but at once when it is done. */
function createReporter({ core, wave, shard, shards, fence, clock, log }: LoopDeps, stop: AbortSignal) {
  let told: { at: number; said: object } | undefined;

  function entryOf({ phase, counts }: Tick): Omit<ShardReport, 'lastReportTime'> {
    const failureSamples = core.failures(Math.floor(SAMPLES / shards)).map(({ device, code, at }) => ({ device, code, time: rfc3339(at) }));
    return { index: shard, phase, fence, counts, failureSamples };
  }
  async function tell(tick: Tick, signal: AbortSignal): Promise<void> {
    const entry = entryOf(tick);
    try {
      await wave.report({ ...entry, lastReportTime: rfc3339(clock.now()) }, signal);
      told = { at: clock.elapsed(), said: saidOf(tick) };
    } catch (err) {
      if (!stop.aborted) log.warn({ err }, 'the wave could not be told what was counted; it is tried again');
    }
  }
  const isTold = (tick: Tick): boolean => told !== undefined && equalJson(told.said, saidOf(tick));
  return {
    isTold,
    async report(tick: Tick, isIdle: boolean): Promise<void> {
      if (isTold(tick)) return;
      const isDue = told === undefined || clock.elapsed() - told.at >= REPORT_MS;
      if (isDue || (tick.phase === 'Done' && isIdle)) await tell(tick, stop);
    },
    /** Before the process ends, whatever the time. */
    last: (tick: Tick): Promise<void> => tell(tick, AbortSignal.timeout(2000)),
  };
}

const saidOf = ({ phase, counts }: Tick): object => ({ phase, ...counts });
const rfc3339 = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Sleeps until somebody calls, or the time is over. */
function createWake(clock: Clock) {
  let isAwake = false;
  let call = (): void => undefined;
  return {
    now: (): void => {
      isAwake = true;
      call();
    },
    async wait(ms: number, signal: AbortSignal): Promise<void> {
      if (!isAwake && ms > 0 && !signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        call = resolve;
        const timer = clock.setTimer(ms, resolve);
        await promise;
        timer.cancel();
      }
      isAwake = false;
    },
  };
}
