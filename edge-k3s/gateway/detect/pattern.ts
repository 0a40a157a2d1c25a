// Has the stream ever moved like this? The last readings as a window, against a fair sample of the windows before (a reservoir, Vitter 1985): the distance to
// the third nearest is the statistic. It sees shapes that no single reading shows. Opt-in: it costs some microseconds a reading and keeps thousands of numbers.
import { learn, newTail, surprise, type Tail } from './tail.ts';

export type Pattern = {
  /** Readings so far, newest last: the window and what it must not be compared with. */
  recent: number[];
  /** The sample, one window after the other. */
  sample: number[];
  offered: number;
  /** State of the generator that chooses what stays: the same readings give the same sample. */
  random: number;
  distances: Tail;
};

const WINDOWS = 400;
/** Nearest neighbours looked at: the very nearest may be an earlier anomaly of the same kind. */
const NEIGHBOURS = 3;
const LEAST_WINDOWS = 10;

export const newPattern = (seed: number): Pattern => ({
  ...{ recent: [], sample: [], offered: 0, random: seed >>> 0, distances: newTail() },
});

/** `width`: readings of a window, always the same for a state. At most 400 windows are compared, each only as far as it can still be near. */
export function stepPattern(state: Pattern, width: number, value: number): number {
  const { recent } = state;
  recent.push(value);
  if (recent.length < width) return 0;
  const distance = distanceTo(state, width);
  const found = surprise(state.distances, distance);
  learn(state.distances, distance);
  // A window enters the sample when it shares no reading with the one of now any more.
  if (recent.length >= 2 * width) {
    offer(state, width);
    recent.shift();
  }
  return found;
}

function distanceTo({ recent, sample }: Pattern, width: number): number {
  const windows = sample.length / width;
  if (windows < LEAST_WINDOWS) return 0;
  const nearest: number[] = new Array<number>(NEIGHBOURS).fill(Infinity);
  const from = recent.length - width;
  for (let window = 0; window < windows; window += 1) {
    const limit = nearest[NEIGHBOURS - 1] ?? Infinity;
    let sum = 0;
    for (let n = 0; n < width && sum < limit; n += 1) {
      const apart = (recent[from + n] ?? 0) - (sample[window * width + n] ?? 0);
      sum += apart * apart;
    }
    if (sum < limit) insert(nearest, sum);
  }
  return Math.sqrt(nearest[NEIGHBOURS - 1] ?? 0);
}

function insert(nearest: number[], distance: number): void {
  let at = NEIGHBOURS - 1;
  while (at > 0 && (nearest[at - 1] ?? 0) > distance) {
    nearest[at] = nearest[at - 1] ?? 0;
    at -= 1;
  }
  nearest[at] = distance;
}

function offer(state: Pattern, width: number): void {
  const { recent, sample } = state;
  state.offered += 1;
  const windows = sample.length / width;
  const place = windows < WINDOWS ? windows : Math.floor(next(state) * state.offered);
  if (place >= WINDOWS) return;
  for (let n = 0; n < width; n += 1) sample[place * width + n] = recent[n] ?? 0;
}

/** mulberry32; its state is a number of the snapshot. */
function next(state: Pattern): number {
  state.random = (state.random + 0x6d2b79f5) >>> 0;
  let t = state.random;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
