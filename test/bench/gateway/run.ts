// One run of one subject: it starts with nothing, is fed as fast as it takes, then at a fixed rate, and ends.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Flowed } from './feeder/protocol.ts';
import { startFeeder } from './feeder.ts';
import type { Pinned } from './pinned.ts';
import { makeKeys, type SubjectPlace } from './scene.ts';

export type Subject = { name: string; start(place: SubjectPlace): Pinned | Promise<Pinned> };
export type Run = {
  messagesPerSecond: number;
  cpuSecondsPerMillion: number;
  rssMiB: number;
  /** At the fixed rate, of each crossing of the limit: until the alert is at the broker. */
  alertsAfterMs: number[];
  /** Of its core, while it fed as fast as it could. */
  feederBusy: number;
};
export type Pace = { warmUpSeconds: number; seconds: number; fixedPerSecond: number; fixedSeconds: number };

/** A feeder that has no time left says nothing about who it feeds. */
const SATURATED = 0.9;
/** A subject that does not tell of what it is to find has measured nothing; one or two may be on their way when time is up. */
const LEAST_ALERTS = 0.8;
const LEAST_REACHED = 0.98;
/** A gateway bounds its alerts (60 at once, then one every three seconds), and a crossing may be two: of the limit, and of a leap. */
const CROSSING_EVERY_MS = 2_000;

export async function runOf(subject: Subject, pace: Pace): Promise<Run> {
  const directory = await mkdtemp(join(tmpdir(), 'hedgerow-bench-gateway-'));
  const keys = await makeKeys(join(directory, 'tls'));
  const feeder = await startFeeder(keys);
  let started: Pinned | undefined;
  try {
    started = await subject.start({ directory: join(directory, 'subject'), port: feeder.port, tls: keys.gateway });
    await feeder.subscribed(started);
    // First the fixed rate: after the fast one each device would have another cadence, which is an alert of its own.
    const fixed = await feeder.flow({
      ...{ perSecond: pace.fixedPerSecond, crossingEveryMs: CROSSING_EVERY_MS, subject: started.pid },
      ...{ warmUpSeconds: pace.warmUpSeconds, seconds: pace.fixedSeconds },
    });
    const fast = await feeder.flow({
      ...{ perSecond: 0, crossingEveryMs: Number.POSITIVE_INFINITY, subject: started.pid },
      ...{ warmUpSeconds: pace.warmUpSeconds, seconds: pace.seconds },
    });
    return figuresOf(fast, fixed, rssOf(started.pid), pace);
  } catch (error) {
    throw new Error(`${subject.name}: ${error instanceof Error ? error.message : String(error)}\n${started?.lastWords() ?? ''}`);
  } finally {
    await started?.stop();
    await feeder.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function figuresOf(fast: Flowed, fixed: Flowed, rssMiB: number, { fixedPerSecond }: Pace): Run {
  const feederBusy = fast.feederCpuSeconds / fast.seconds;
  if (feederBusy > SATURATED)
    throw new Error(`invalid: the feeder used ${Math.round(feederBusy * 100)} % of its core and may be what was measured`);
  if (fast.acknowledged === 0) throw new Error('invalid: nothing was acknowledged');
  const reached = fixed.acknowledged / fixed.seconds;
  if (reached < LEAST_REACHED * fixedPerSecond)
    throw new Error(`invalid: ${Math.round(reached)} of ${fixedPerSecond} messages a second were taken`);
  const wrong = fast.wrongAlerts + fixed.wrongAlerts;
  if (wrong > 0) throw new Error(`invalid: ${wrong} alerts of messages that no schema takes`);
  if (fixed.alertsAfterMs.length < LEAST_ALERTS * fixed.crossings)
    throw new Error(`invalid: ${fixed.alertsAfterMs.length} alerts of ${fixed.crossings} crossings of the limit`);
  return {
    messagesPerSecond: fast.acknowledged / fast.seconds,
    cpuSecondsPerMillion: (fast.subjectCpuSeconds * 1e6) / fast.acknowledged,
    rssMiB,
    alertsAfterMs: fixed.alertsAfterMs,
    feederBusy,
  };
}

/** The most that it ever had. proc(5): VmHWM in kB. */
function rssOf(pid: number): number {
  return Number(/^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1_024;
}
