// Quantiles with a known relative error that can be merged: DDSketch (Masson, Rim, Lee: VLDB 2019), with whole counts in sparse bins, so merging is exact in any order.
// Why our own: docs/adr/0035-spool.md.

/** A quantile is off by no more than this share of itself. */
export const RELATIVE_ERROR = 0.01;
const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GAMMA = Math.log(GAMMA);
/** Nearer to 0 is 0. */
export const LEAST = 1e-9;
/** Further from 0 is nothing that a sensor measures; with `LEAST` it bounds the bins: 2,764 for each sign. */
export const MOST = 1e15;

export type Sketch = { zeros: number; positive: Map<number, number>; negative: Map<number, number> };

export const emptySketch = (): Sketch => ({ zeros: 0, positive: new Map(), negative: new Map() });

/** `value`: finite, at most `MOST` from 0. */
export function put(sketch: Sketch, value: number): void {
  const size = Math.abs(value);
  if (size < LEAST) sketch.zeros += 1;
  else add(value > 0 ? sketch.positive : sketch.negative, Math.ceil(Math.log(size) / LOG_GAMMA), 1);
}

export function mergedSketch(a: Sketch, b: Sketch): Sketch {
  return { zeros: a.zeros + b.zeros, positive: sum(a.positive, b.positive), negative: sum(a.negative, b.negative) };
}

/** `q`: 0 to 1, by nearest rank. NaN of nothing. */
export function quantile({ zeros, positive, negative }: Sketch, q: number): number {
  const inOrder = [
    ...[...negative].sort((a, b) => b[0] - a[0]).map(([key, count]) => [-middleOf(key), count] as const),
    ...(zeros > 0 ? [[0, zeros] as const] : []),
    ...[...positive].sort((a, b) => a[0] - b[0]).map(([key, count]) => [middleOf(key), count] as const),
  ];
  const total = inOrder.reduce((all, [, count]) => all + count, 0);
  let left = Math.max(1, Math.ceil(q * total));
  for (const [value, count] of inOrder) {
    left -= count;
    if (left <= 0) return value;
  }
  return Number.NaN;
}

/** Of the values of a bin, (gamma^(key-1), gamma^key], the one that is off from all by at most the relative error. */
const middleOf = (key: number): number => (2 * GAMMA ** key) / (GAMMA + 1);

function sum(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): Map<number, number> {
  const both = new Map(a);
  for (const [key, count] of b) add(both, key, count);
  return both;
}

function add(bins: Map<number, number>, key: number, count: number): void {
  bins.set(key, (bins.get(key) ?? 0) + count);
}
