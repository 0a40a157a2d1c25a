// How rare a statistic is in its stream, without a model of the stream: the largest values seen so far are kept, and beyond the smallest of them the tail is
// taken for a power law (Hill 1975). What comes out is comparable between a thermometer and a counter, so one threshold fits all streams.

/** Plain numbers: a snapshot is its JSON. */
export type Tail = { seen: number /** The largest values, largest first. */; top: number[] };

/** Between 30 and 50 the NAB score is flat; fewer make the slope of the tail a matter of luck, more reach into the body. */
const KEPT = 40;
/** Before so many values nothing is strange. */
const LEAST = 100;
/** A tail flatter than any of these would call everything certain. */
const LEAST_SLOPE = 0.02;
const LEAST_VALUE = 1e-12;
/** 10^-30 is as rare as it gets; a snapshot has no infinity. */
const MOST = 30;

export const newTail = (): Tail => ({ seen: 0, top: [] });

/** -log10 of the share of values that are at least as large; 0 for what is not among the largest. */
export function surprise({ seen, top }: Tail, value: number): number {
  const least = top.at(-1);
  if (seen < LEAST || least === undefined || value <= least) return 0;
  const from = Math.max(least, LEAST_VALUE);
  let logs = 0;
  for (const one of top) logs += Math.log(Math.max(one, from) / from);
  const slope = Math.max(LEAST_SLOPE, logs / Math.max(1, top.length - 1));
  const share = Math.log10(top.length / seen) - Math.log10(value / from) / slope;
  return Math.min(MOST, Math.max(0, -share));
}

export function learn(tail: Tail, value: number): void {
  tail.seen += 1;
  const { top } = tail;
  if (top.length === KEPT && value <= (top.at(-1) ?? 0)) return;
  let at = top.length;
  while (at > 0 && (top[at - 1] ?? 0) < value) at -= 1;
  top.splice(at, 0, value);
  if (top.length > KEPT) top.pop();
}
