// Is the value far from where the stream has been, or did it leap? Two statistics of one reading: its distance from the mean in standard deviations, and its
// distance from the reading before.
import { learn, newTail, surprise, type Tail } from './tail.ts';

export type Level = { seen: number; mean: number; variance: number; last: number; distances: Tail; steps: Tail };

/** Readings that the mean remembers; what is older fades, or a device of a year ago would judge the one of today. */
const MEMORY = 5_000;
/** After so many readings one that is far out moves the mean as far as one at the edge: a spike must not become the new normal. */
const CLIP_AFTER = 50;
const CLIP = 6;

export const newLevel = (): Level => ({ seen: 0, mean: 0, variance: 0, last: 0, distances: newTail(), steps: newTail() });

/** How surprising the reading is, by its level and by its step; 0 is ordinary. Learns from it. */
export function stepLevel(state: Level, value: number): { level: number; step: number } {
  const distance = Math.abs(value - state.mean) / (Math.sqrt(state.variance) + 1e-9 + 1e-6 * Math.abs(state.mean));
  const leap = state.seen === 0 ? 0 : Math.abs(value - state.last);
  const found = { level: surprise(state.distances, distance), step: surprise(state.steps, leap) };
  // The first readings are far from a mean that is not one yet.
  if (state.seen > 10) learn(state.distances, distance);
  learn(state.steps, leap);
  follow(state, value);
  return found;
}

function follow(state: Level, value: number): void {
  state.seen += 1;
  const weight = Math.max(1 / state.seen, 1 / MEMORY);
  const edge = state.seen > CLIP_AFTER && state.variance > 0 ? CLIP * Math.sqrt(state.variance) : Infinity;
  const error = Math.max(-edge, Math.min(edge, value - state.mean));
  state.mean += weight * error;
  state.variance = (1 - weight) * (state.variance + weight * error * error);
  state.last = value;
}
