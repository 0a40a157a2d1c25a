// A set of whole numbers as ranges in order, none touching the next. Pure; the arrays are never changed.

export type Ranges = readonly (readonly [first: number, last: number])[];

export const NONE: Ranges = [];

export function within(ranges: Ranges, value: number): boolean {
  let [low, high] = [0, ranges.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [first, last] = ranges[middle] ?? [0, 0];
    if (value < first) high = middle - 1;
    else if (value > last) low = middle + 1;
    else return true;
  }
  return false;
}

export function plus(ranges: Ranges, first: number, last: number): Ranges {
  if (last < first) return ranges;
  const before = ranges.filter((one) => one[1] < first - 1);
  const after = ranges.filter((one) => one[0] > last + 1);
  const touched = ranges.slice(before.length, ranges.length - after.length);
  return [...before, [Math.min(first, touched[0]?.[0] ?? first), Math.max(last, touched.at(-1)?.[1] ?? last)], ...after];
}

export function plusEach(ranges: Ranges, values: readonly number[]): Ranges {
  let all = ranges;
  for (const [first, last] of runsOf(values)) all = plus(all, first, last);
  return all;
}

export function minusEach(ranges: Ranges, values: readonly number[]): Ranges {
  let left = ranges;
  for (const [first, last] of runsOf(values))
    left = left.flatMap(([from, to]): Ranges => {
      if (to < first || from > last) return [[from, to]];
      return [...(from < first ? [[from, first - 1] as const] : []), ...(to > last ? [[last + 1, to] as const] : [])];
    });
  return left;
}

export function overlaps(ranges: Ranges, first: number, last: number): boolean {
  return ranges.some((one) => one[0] <= last && one[1] >= first);
}

function runsOf(values: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const value of [...values].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && value <= run[1] + 1) run[1] = value;
    else runs.push([value, value]);
  }
  return runs;
}
