// One stream (one measured value of one device) through all its detectors. Everything that it knows is plain numbers in one state, so a snapshot is its JSON
// and a restored stream goes on as if nothing had been. A stream says nothing for 100 readings: it has to learn first what is ordinary.
import { type Alert, oneIn, short } from './alert.ts';
import { type Cadence, newCadence, silence, stepCadence } from './cadence.ts';
import { type Latch, newLatch, stepLatch } from './latch.ts';
import { type Judged, type Novelty, newNovelty, stepNovelty } from './novelty.ts';
import { type Range, stepRange } from './range.ts';
import { newRate, type Rate, stepRate } from './rate.ts';
import { newRepeat, type Repeat, stepRepeat } from './repeat.ts';
import { isLike } from './snapshot.ts';
import { newStuck, type Stuck, stepStuck } from './stuck.ts';
import { hourOf } from './time-of-day.ts';

export type StreamOptions = {
  range?: Range;
  /** The fastest change that is possible, in units of the value. */
  maxPerSecond?: number;
  /** Equal readings in a row that are too many; without it the stream's own history says. */
  stuckAfter?: number;
  pattern?: boolean;
  timeOfDay?: boolean;
  repeat?: boolean;
  /** How many strange readings a healthy device may be accused of in a week; 1. */
  falseAlertsPerWeek?: number;
  /** Chooses which windows a pattern remembers. */
  seed?: number;
};

export type Reading = { atMs: number; value: number };

/** The score of a reading is there for every one, also below the threshold; 0 is ordinary. */
export type Observed = { score: number; alerts: Alert[] };

export type Stream = {
  observe(reading: Reading): Observed;
  /** To be asked from time to time: a device that says nothing is noticed by its silence. */
  silent(nowMs: number): Alert[];
  snapshot(): string;
};

type State = {
  version: number;
  lastMs: number;
  seen: number;
  /** Readings in a row with a time before the last one. */
  back: number;
  unusable: Latch;
  range: Latch;
  rate: Rate;
  stuck: Stuck;
  cadence: Cadence;
  novelty: Novelty;
  repeat: Repeat | null;
};

const VERSION = 1;
const WEEK_MS = 604_800_000;
/** The largest of up to three surprises is a little more often large than one of them. */
const MARGIN = 0.2;
/** With pattern the score is a mean of two surprises: as rare at a tenth of what it would be alone (measured by `npm run bench -- faults`). */
const OF_TWO = 1;
/** A device that reports twice a day has too few readings for less. */
const LEAST_THRESHOLD = 2;
const NO_RANGE: Range = {};
/** After so many the clock of the device was set back, and time goes on from there. */
const BACK = 10;
/** Squares of larger numbers are no numbers. */
const LARGEST = 1e100;
/** ECMAScript's range of times. */
const LATEST_MS = 8.64e15;

/** `snapshot` of a stream with the same options; one that cannot be read, or of another shape, is as none. */
export function createStream(options: StreamOptions = {}, snapshot?: string): Stream {
  const fresh = newState(options);
  const state = snapshot === undefined ? fresh : (restored(snapshot, fresh) ?? fresh);
  return {
    observe: (reading) => observe(state, options, reading),
    silent: (nowMs) => (usable(nowMs, 0) ? silence(state.cadence, nowMs).map((found) => ({ ...found, atMs: nowMs })) : []),
    snapshot: () => JSON.stringify(state),
  };
}

function newState({ pattern = false, timeOfDay = false, repeat = false, seed = 1 }: StreamOptions): State {
  return {
    ...{ version: VERSION, lastMs: 0, seen: 0, back: 0, unusable: newLatch(), range: newLatch() },
    ...{ rate: newRate(), stuck: newStuck(), cadence: newCadence() },
    ...{ novelty: newNovelty({ pattern, timeOfDay, seed }), repeat: repeat ? newRepeat() : null },
  };
}

function restored(snapshot: string, fresh: State): State | undefined {
  try {
    const state: unknown = JSON.parse(snapshot);
    return isLike(state, fresh) && state.version === VERSION ? state : undefined;
  } catch {
    return undefined;
  }
}

function observe(state: State, options: StreamOptions, reading: Reading): Observed {
  const { atMs } = reading;
  if (!usable(atMs, reading.value)) {
    const says = stepLatch(state.unusable, true) ? [`sent ${reading.value} at ${atMs}, which is no value or no time`] : [];
    return { score: 0, alerts: says.map((text) => ({ kind: 'unusable', atMs: state.lastMs, says: text })) };
  }
  stepLatch(state.unusable, false);
  // A snapshot does not know -0.
  const value = reading.value + 0;
  const alerts: Alert[] = [];
  const tell = (kind: Alert['kind'], says: string | undefined): void => {
    if (says !== undefined) alerts.push({ kind, atMs, says });
  };
  tell('range', stepRange(state.range, options.range ?? NO_RANGE, value));
  if (isLate(state, atMs)) return { score: 0, alerts };
  const judged = stepNovelty(state.novelty, atMs, value);
  tell('rate', stepRate(state.rate, options.maxPerSecond, atMs, value));
  tell('stuck', stepStuck(state.stuck, options.stuckAfter, atMs, value));
  for (const found of stepCadence(state.cadence, atMs)) alerts.push({ ...found, atMs });
  if (state.repeat !== null) tell('repeat', stepRepeat(state.repeat, value));
  if (judged.score >= LEAST_THRESHOLD && judged.score >= thresholdOf(state, options))
    alerts.push({ kind: judged.cause, atMs, score: judged.score, says: `${why(judged, atMs, value)} (${oneIn(judged.score)})` });
  return { score: judged.score, alerts };
}

const usable = (atMs: number, value: number): boolean => Math.abs(value) <= LARGEST && Math.abs(atMs) <= LATEST_MS;

/** A reading that was overtaken is judged by its limits only. When all come from the past, the clock was set back. */
function isLate(state: State, atMs: number): boolean {
  if (state.seen > 0 && atMs < state.lastMs) {
    state.back += 1;
    if (state.back < BACK) return true;
    state.cadence.lastMs = atMs;
    state.rate.seen = 0;
  }
  state.back = 0;
  state.seen = 1;
  state.lastMs = atMs;
  return false;
}

/** A score says how rare a reading is; how many readings a week has says how rare is rare enough. */
function thresholdOf({ cadence }: State, { falseAlertsPerWeek = 1, pattern = false }: StreamOptions): number {
  const perWeek = WEEK_MS / Math.max(1, Math.exp(cadence.usual));
  const rare = Math.log10(perWeek / Math.max(1e-6, falseAlertsPerWeek)) + MARGIN;
  return Math.max(LEAST_THRESHOLD, pattern ? rare - OF_TWO : rare);
}

function why({ cause, usual, before }: Judged, atMs: number, value: number): string {
  switch (cause) {
    case 'level':
      return `${short(value)} is far from ${short(usual)}, around which it has been`;
    case 'step':
      return `leapt from ${short(before)} to ${short(value)}`;
    case 'time-of-day':
      return `${short(value)} is far from ${short(usual)}, which is usual between ${hourOf(atMs)} and ${hourOf(atMs) + 1} h UTC`;
    case 'pattern':
      return `the readings up to ${short(value)} move as they never did before`;
  }
}
