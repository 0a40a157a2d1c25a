// The same value again and again, from a sensor that used to move. A stream that never moved (a set point, a switch) is not stuck.
import { lasting, short } from './alert.ts';

export type Stuck = { seen: number; value: number; sinceMs: number; run: number; changes: number; longest: number; told: boolean };

const LEAST = 30;
const TIMES_LONGEST = 3;
/** A stream that changed less often has not shown how long its rests are. */
const CHANGES = 50;

export const newStuck = (): Stuck => ({ seen: 0, value: 0, sinceMs: 0, run: 0, changes: 0, longest: 0, told: false });

/** `after`: equal readings in a row that are too many; without it three times as many as there ever were, 30 at least. */
export function stepStuck(state: Stuck, after: number | undefined, atMs: number, value: number): string | undefined {
  const limit = after ?? Math.max(LEAST, TIMES_LONGEST * state.longest);
  if (state.seen === 0 || value !== state.value) {
    if (state.seen > 0) state.changes += 1;
    // A fault is not to become the new measure: of a run that was told of counts only what was allowed.
    state.longest = Math.max(state.longest, Math.min(state.run, limit));
    state.seen = 1;
    state.value = value;
    state.sinceMs = atMs;
    state.run = 1;
    state.told = false;
    return undefined;
  }
  state.run += 1;
  if (state.told || state.run < limit || (after === undefined && state.changes < CHANGES)) return undefined;
  state.told = true;
  const before = state.longest > 1 ? `; before, never more than ${state.longest}` : '';
  return `${short(value)} for the ${state.run}th time in a row, for ${lasting(Math.max(0, atMs - state.sinceMs))}${before}`;
}
