// A trend as it leaves: no number of it is a reading as a device sent it. The ends and quantiles are those of the sketch's bins; of the mean and the deviation six digits stay.
import { egressProblem, type MessageOf } from '../../../operator/api/egress.ts';
import type { Body } from '../core/output.ts';
import type { Coarsening } from '../spool/coarsen.ts';
import { type Aggregate, emptyAggregate, mergedAggregate } from '../window/aggregate.ts';
import { quantile, type Sketch } from '../window/sketch.ts';

export type TrendBody = Body<MessageOf<'Trend'>>;

/** `devices`: how many different ones it is of. */
export function trendBody(of: { group: string; metric: string; devices: number }, aggregate: Aggregate): TrendBody {
  const { count, mean, m2, sketch } = aggregate;
  const at = (q: number): number => rounded(quantile(sketch, q));
  return {
    ...{ type: 'Trend', ...of, count, mean: rounded(mean), deviation: rounded(Math.sqrt(Math.max(0, m2) / Math.max(1, count - 1))) },
    ...{ min: at(0), max: at(1), p50: at(0.5), p95: at(0.95) },
    ...{ zeros: sketch.zeros, positive: flat(sketch.positive), negative: flat(sketch.negative) },
  };
}

const MINUTE_MS = 60_000;
/** For the spool: trends of narrow windows become one of a wider one. */
export const trendCoarsening = (settleMs: number): Coarsening => ({
  widthsMs: [5 * MINUTE_MS, 60 * MINUTE_MS, 24 * 60 * MINUTE_MS],
  settleMs,
  merge(parts) {
    const bodies = parts.map(readBody);
    const [first] = bodies;
    if (first === undefined) throw new RangeError('nothing to merge');
    const whole = bodies.map(aggregateOf).reduce(mergedAggregate, emptyAggregate());
    // How many different devices they have together nobody knows any more.
    const devices = Math.min(...bodies.map((one) => one.devices));
    return Buffer.from(JSON.stringify({ ...first, ...trendBody({ group: first.group, metric: first.metric, devices }, whole) }));
  },
});

/** Throws on what is no trend: then the records stay as they are. */
function readBody(payload: Uint8Array): TrendBody {
  const body: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
  const message = { ...(body as object), v: 1, site: 'x', key: 'x', rev: 0, fromMs: 0, toMs: 0 };
  if (egressProblem(message) !== undefined || (message as { type?: unknown }).type !== 'Trend') throw new RangeError('no trend');
  return body as TrendBody;
}

function aggregateOf({ count, mean, deviation, min, max, zeros, positive, negative }: TrendBody): Aggregate {
  const sketch: Sketch = { zeros, positive: unflat(positive), negative: unflat(negative) };
  return { count, refused: 0, mean, m2: deviation ** 2 * (count - 1), min, max, last: undefined, sketch };
}

const flat = (bins: ReadonlyMap<number, number>): number[] => [...bins].sort((a, b) => a[0] - b[0]).flat();

function unflat(pairs: readonly number[]): Map<number, number> {
  const bins = new Map<number, number>();
  for (let at = 0; at < pairs.length; at += 2) bins.set(pairs[at] ?? 0, pairs[at + 1] ?? 0);
  return bins;
}

const rounded = (value: number): number => Number(value.toPrecision(6));
