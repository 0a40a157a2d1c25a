// When readings come: too long nothing (gap), or all the time faster or slower than before (cadence). Times of devices are hostile input: what does not go
// forward is left out before it comes here.
import { lasting } from './alert.ts';
import { learn, newTail, surprise, type Tail } from './tail.ts';

export type Cadence = {
  seen: number;
  lastMs: number;
  /** Logarithms of milliseconds: of the last hundreds of intervals, and of the last twenty. */
  usual: number;
  recent: number;
  intervals: Tail;
  changes: Tail;
  gapTold: boolean;
  cadenceTold: boolean;
};

export type CadenceFound = { kind: 'gap' | 'cadence'; says: string };

/** Nothing is known of a stream of fewer intervals. */
const LEAST = 100;
const GAP = 5;
/** One interval in a thousand, beside being five times the usual one: a device that sends when something happens has long pauses. */
const GAP_SURPRISE = 3;
const CHANGE = Math.log(2);
const CHANGE_SURPRISE = 3.5;
const LEAST_CHANGE = 0.05;
const BACK_AGAIN = Math.log(1.5);
/** A list for each of many readings a second that find nothing would be the dearest part of this. */
const NOTHING: readonly CadenceFound[] = [];

export const newCadence = (): Cadence => ({
  ...{ seen: 0, lastMs: 0, usual: 0, recent: 0, intervals: newTail(), changes: newTail(), gapTold: false, cadenceTold: false },
});

/** At a reading whose time is not before that of the last one. */
export function stepCadence(state: Cadence, atMs: number): readonly CadenceFound[] {
  const ms = atMs - state.lastMs;
  const found = state.seen === 0 ? NOTHING : gapOf(state, ms);
  const changed = state.seen === 0 || ms <= 0 ? NOTHING : changeOf(state, ms);
  state.seen = Math.max(1, state.seen);
  state.lastMs = atMs;
  state.gapTold = false;
  return found.length + changed.length === 0 ? NOTHING : [...found, ...changed];
}

/** While nothing comes: a gap is told of as long as it lasts, not when it is over. */
export function silence(state: Cadence, nowMs: number): readonly CadenceFound[] {
  const found = state.seen === 0 ? NOTHING : gapOf(state, nowMs - state.lastMs);
  if (found.length > 0) state.gapTold = true;
  return found;
}

function gapOf(state: Cadence, ms: number): readonly CadenceFound[] {
  if (state.gapTold || state.seen <= LEAST) return NOTHING;
  const usualMs = Math.exp(state.usual);
  if (ms <= GAP * usualMs || surprise(state.intervals, ms) < GAP_SURPRISE) return NOTHING;
  return [{ kind: 'gap', says: `nothing for ${lasting(ms)}; a reading comes every ${lasting(usualMs)}` }];
}

function changeOf(state: Cadence, ms: number): readonly CadenceFound[] {
  learn(state.intervals, ms);
  const first = state.seen === 1;
  const log = Math.log(ms);
  // One gap is not a new cadence: an interval counts for ten times the usual one at most.
  const near = first ? log : Math.max(state.usual - Math.LN10, Math.min(state.usual + Math.LN10, log));
  state.seen += 1;
  state.usual += (near - state.usual) * Math.max(1 / (state.seen - 1), 1 / 500);
  state.recent += (near - state.recent) * Math.max(1 / (state.seen - 1), 1 / 20);
  const apart = Math.abs(state.recent - state.usual);
  const strange = apart >= CHANGE && surprise(state.changes, apart) >= CHANGE_SURPRISE && state.seen > LEAST;
  // Clocks that are exact would make any change at all a wonder.
  if (!strange) learn(state.changes, Math.max(apart, LEAST_CHANGE));
  if (apart < BACK_AGAIN) state.cadenceTold = false;
  if (!strange || state.cadenceTold) return NOTHING;
  state.cadenceTold = true;
  return [
    {
      kind: 'cadence',
      says: `readings come about every ${lasting(Math.exp(state.recent))} lately, every ${lasting(Math.exp(state.usual))} before`,
    },
  ];
}
