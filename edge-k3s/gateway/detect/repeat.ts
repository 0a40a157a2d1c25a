// Readings that were sent before: a recording that is played again, or a device that sends its buffer in a circle. No two stretches of a live analogue sensor
// are equal value by value. Opt-in: it keeps 2,880 readings, two days of one a minute.
import { type Latch, newLatch, stepLatch } from './latch.ts';

export type Repeat = {
  ring: number[];
  next: number /** Readings back to where the same was sent; 0: nowhere. */;
  lag: number;
  run: number;
  distinct: number[];
  latch: Latch;
};

const KEPT = 2_880;
/** So many readings in a row, of so many different values, are no accident: on/off and coarse sensors repeat themselves all the time. */
const RUN = 24;
const DISTINCT = 6;
const START = 8;

export const newRepeat = (): Repeat => ({ ring: [], next: 0, lag: 0, run: 0, distinct: [], latch: newLatch() });

export function stepRepeat(state: Repeat, value: number): string | undefined {
  state.ring[state.next] = value;
  state.next = (state.next + 1) % KEPT;
  if (state.lag > 0 && ago(state, state.lag) === value) state.run += 1;
  else begin(state);
  if (state.lag > 0 && state.distinct.length < DISTINCT && !state.distinct.includes(value)) state.distinct.push(value);
  if (!stepLatch(state.latch, state.run >= RUN && state.distinct.length >= DISTINCT)) return undefined;
  return `the last ${state.run} readings are the same, value by value, as those ${state.lag} readings before`;
}

/** Looks for the latest place where the last readings were sent before. */
function begin(state: Repeat): void {
  state.distinct = [];
  state.lag = 0;
  state.run = 0;
  const { ring } = state;
  const newest = (state.next - 1 + KEPT) % KEPT;
  const last = ring[newest];
  let at = newest - START;
  for (let lag = START; lag + START <= ring.length; lag += 1, at -= 1) {
    if (at < 0) at += KEPT;
    if (ring[at] !== last || !isSame(state, lag)) continue;
    state.lag = lag;
    state.run = START;
    return;
  }
}

function isSame(state: Repeat, lag: number): boolean {
  let same = 1;
  while (same < START && ago(state, lag + same) === ago(state, same)) same += 1;
  return same === START;
}

const ago = ({ ring, next }: Repeat, readings: number): number | undefined => ring[(next - 1 - readings + 2 * KEPT) % KEPT];
