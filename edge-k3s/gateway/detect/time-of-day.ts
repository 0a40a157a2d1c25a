// What is usual at this hour? For each hour of the day (UTC: the zone of the site only renames the hours) a mean and a spread; a reading counts in spreads of
// its own hour. Opt-in: a stream without a daily rhythm has nothing to gain.
import { learn, newTail, surprise, type Tail } from './tail.ts';

export type TimeOfDay = { seen: number[]; mean: number[]; variance: number[]; distances: Tail };

const HOURS = 24;
const HOUR_MS = 3_600_000;
/** Of an hour the last 50 readings count, so that a profile follows the seasons. */
const LEAST_WEIGHT = 0.02;
const LEAST_SEEN = 3;

export function newTimeOfDay(): TimeOfDay {
  const hours = (): number[] => new Array<number>(HOURS).fill(0);
  return { seen: hours(), mean: hours(), variance: hours(), distances: newTail() };
}

export function stepTimeOfDay(state: TimeOfDay, atMs: number, value: number): { surprise: number; usual: number } {
  const hour = hourOf(atMs);
  const seen = state.seen[hour] ?? 0;
  const mean = state.mean[hour] ?? 0;
  const variance = state.variance[hour] ?? 0;
  const distance = seen < LEAST_SEEN ? 0 : Math.abs(value - mean) / (Math.sqrt(variance) + 1e-9 + 1e-3 * Math.abs(mean));
  const found = { surprise: surprise(state.distances, distance), usual: mean };
  learn(state.distances, distance);
  const weight = Math.max(LEAST_WEIGHT, 1 / (seen + 1));
  const error = value - mean;
  state.seen[hour] = seen + 1;
  state.mean[hour] = mean + weight * error;
  state.variance[hour] = (1 - weight) * (variance + weight * error * error);
  return found;
}

export const hourOf = (atMs: number): number => ((Math.floor(atMs / HOUR_MS) % HOURS) + HOURS) % HOURS;
