// The score of a reading: how strange it is by value (level, step, hour of the day) and, where patterns are asked for, by shape too. Pure over its state.
//
// A spike of a value is common in many streams and so is a shape that was not seen yet; both in one reading are not. The score is therefore the mean of the
// two surprises. Whatever hangs together with what, e times that geometric mean of two probabilities is again one (Vovk and Wang, Biometrika 2020).
import { type Level, newLevel, stepLevel } from './level.ts';
import { newPattern, type Pattern, stepPattern } from './pattern.ts';
import { newTimeOfDay, stepTimeOfDay, type TimeOfDay } from './time-of-day.ts';

export type NoveltyOptions = { pattern: boolean; timeOfDay: boolean; seed: number };

export type Novelty = { level: Level; timeOfDay: TimeOfDay | null; patterns: Pattern[]; quiet: Quiet };

/** What spoke loudest for a score. */
export type Cause = 'level' | 'step' | 'time-of-day' | 'pattern';

/** `score`: -log10 of how rare, 0 while the stream is ordinary or a stranger reading was told of shortly before. */
export type Judged = {
  score: number;
  cause: Cause /** The mean before the reading, or the mean of its hour. */;
  usual: number;
  before: number;
};

/** Short shapes find faults of a sensor, longer ones those of what it measures. */
const WIDTHS = [8, 16];

export function newNovelty({ pattern, timeOfDay, seed }: NoveltyOptions): Novelty {
  return {
    level: newLevel(),
    timeOfDay: timeOfDay ? newTimeOfDay() : null,
    patterns: pattern ? WIDTHS.map(() => newPattern(seed)) : [],
    quiet: { readings: 0, at: [], scores: [] },
  };
}

export function stepNovelty(state: Novelty, atMs: number, value: number): Judged {
  const { mean, last } = state.level;
  const { level, step } = stepLevel(state.level, value);
  const hour = state.timeOfDay === null ? { surprise: 0, usual: mean } : stepTimeOfDay(state.timeOfDay, atMs, value);
  const byValue = Math.max(level, step, hour.surprise);
  let byShape = 0;
  for (const [n, pattern] of state.patterns.entries()) byShape = Math.max(byShape, stepPattern(pattern, WIDTHS[n] ?? 0, value));
  const score = state.patterns.length === 0 ? byValue : (byValue + byShape) / 2;
  const cause = causeOf(level, step, hour.surprise, byShape);
  return { score: loudest(state.quiet, score), cause, usual: cause === 'time-of-day' ? hour.usual : mean, before: last };
}

function causeOf(level: number, step: number, hour: number, shape: number): Cause {
  if (shape > Math.max(level, step, hour)) return 'pattern';
  if (hour > Math.max(level, step)) return 'time-of-day';
  return step > level ? 'step' : 'level';
}

/** The scores that may still be the greatest of the last readings, greatest first: a queue of at most REFRACTORY places. */
type Quiet = { readings: number; at: number[]; scores: number[] };

/** Readings for which only something stranger is told of again: one fault is one alert. */
const REFRACTORY = 200;

/** The score when no greater or equal one was among the last readings, otherwise 0. */
function loudest(quiet: Quiet, score: number): number {
  quiet.readings += 1;
  if ((quiet.at[0] ?? Infinity) < quiet.readings - REFRACTORY) {
    quiet.at.shift();
    quiet.scores.shift();
  }
  const greatest = quiet.scores[0] ?? 0;
  while (quiet.scores.length > 0 && (quiet.scores.at(-1) ?? 0) <= score) {
    quiet.scores.pop();
    quiet.at.pop();
  }
  if (score > 0) {
    quiet.scores.push(score);
    quiet.at.push(quiet.readings);
  }
  return score > greatest ? score : 0;
}
