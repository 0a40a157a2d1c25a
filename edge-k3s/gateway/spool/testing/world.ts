// A spool with what it is told and what its consumer gets, and what may be said of the two.
import type { Clock } from '../../../../operator/runtime/clock.ts';
import { seededRandom } from '../../../../operator/runtime/random.ts';
import type { Coarsening } from '../coarsen.ts';
import type { Disk } from '../disk.ts';
import { CLASSES, type Class } from '../layout.ts';
import type { Entry, Stored } from '../record.ts';
import { openSpool, type Spool } from '../spool.ts';

export const MINUTE_MS = 60_000;
export const START_MS = Date.parse('2026-11-01T00:00:00Z');

/** Commits as soon as the caller lets go: all that was appended together is one commit. */
export const atOnce: Clock = {
  now: () => START_MS,
  elapsed: () => 0,
  setTimer: (_afterMs, fn) => {
    queueMicrotask(fn);
    return { cancel: () => undefined };
  },
  sleep: async () => undefined,
};

/** Windows of a stream are `STREAMS` apart. A payload is the first and the last of a run of them, for each run: what was merged can be told apart, in little room. */
const STREAMS = 4;

export const coarsening: Coarsening = {
  widthsMs: [5 * MINUTE_MS, 60 * MINUTE_MS, 24 * 60 * MINUTE_MS],
  settleMs: 2 * MINUTE_MS,
  merge(parts) {
    const runs: [number, number][] = [];
    for (const n of parts.flatMap(windowsIn).sort((a, b) => a - b)) {
      const run = runs.at(-1);
      if (run !== undefined && n === run[1] + STREAMS) run[1] = n;
      else runs.push([n, n]);
    }
    return Buffer.concat(runs.map(runOf));
  },
};

export function windowsIn(payload: Uint8Array): number[] {
  const bytes = Buffer.from(payload);
  return Array.from({ length: bytes.length / 8 }, (_, at) => [bytes.readUInt32BE(at * 8), bytes.readUInt32BE(at * 8 + 4)] as const).flatMap(
    ([first, last]) => Array.from({ length: (last - first) / STREAMS + 1 }, (_, more) => first + more * STREAMS),
  );
}

function runOf([first, last]: readonly [number, number]): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(first);
  bytes.writeUInt32BE(last, 4);
  return bytes;
}

export const open = (disk: Disk, maxBytes = 256 * 1024, clock = atOnce): Promise<Spool> =>
  openSpool({ disk, maxBytes, consumers: ['cloud'], clock, random: seededRandom(7), coarsening });

/** The `n`th thing of its class. */
export function entry(of: Class, n: number, more: Partial<Entry> = {}): Entry {
  const payload = of === 'trend' ? runOf([n, n]) : Buffer.alloc(120, 'x');
  payload.writeUInt32BE(n);
  const at = START_MS + Math.floor(n / STREAMS) * MINUTE_MS;
  const subject = { security: 'denials', alert: `alert-${n % 5}`, trend: `stream-${n % STREAMS}` }[of];
  return {
    ...{ class: of, key: `${of}/${subject}/${n}/with-a-name-as-long-as-usual`, subject, device: `d-${n % 7}.berlin` },
    ...{ fromMs: at, toMs: at + MINUTE_MS, revision: 0, payload, ...(of === 'trend' ? { device: '' } : {}) },
    ...more,
  };
}

export async function drain(spool: Spool, consumer = 'cloud'): Promise<Stored[]> {
  const all: Stored[] = [];
  for (;;) {
    const taken = await spool.take(consumer, 200);
    if (taken.length === 0) return all;
    spool.acknowledge(consumer, taken);
    all.push(...taken);
  }
}

export type Account = { missing: Record<Class, number>; lost: Record<Class, number>; wrong: string[] };

/**
 * Everything that was acknowledged was delivered, or lies within a record of loss of its class; nothing is there twice under two keys. `maybe`: written, and its
 * acknowledgement not heard.
 */
export function account(certain: readonly Entry[], maybe: readonly Entry[], delivered: readonly Stored[]): Account {
  const result: Account = { missing: { security: 0, alert: 0, trend: 0 }, lost: { security: 0, alert: 0, trend: 0 }, wrong: [] };
  for (const of of CLASSES) {
    const got = [...new Map(delivered.filter((one) => one.class === of).map((one) => [one.key, one])).values()];
    const losses = got.filter(({ lost }) => lost > 0);
    const seen = new Map<number, number>();
    for (const one of got.filter(({ lost }) => lost === 0))
      for (const n of of === 'trend' ? windowsIn(one.payload) : [Buffer.from(one.payload).readUInt32BE()])
        seen.set(n, (seen.get(n) ?? 0) + 1);
    for (const [n, times] of seen) if (times > 1) result.wrong.push(`${of} ${n} is there ${times} times`);
    const numberOf = ({ payload }: Entry): number => Buffer.from(payload).readUInt32BE();
    const missing = certain.filter((one) => one.class === of && !seen.has(numberOf(one)));
    for (const one of missing)
      if (!losses.some(({ fromMs, toMs }) => fromMs <= one.fromMs && one.toMs <= toMs))
        result.wrong.push(`${of} ${numberOf(one)} is missing silently`);
    result.missing[of] = missing.length;
    result.lost[of] = losses.reduce((sum, { lost }) => sum + lost, 0);
    const most = missing.length + maybe.filter((one) => one.class === of && !seen.has(numberOf(one))).length;
    if (of !== 'trend' && (result.lost[of] < missing.length || result.lost[of] > most))
      result.wrong.push(`${of}: ${result.lost[of]} are said to be lost, ${missing.length} to ${most} are`);
  }
  return result;
}
