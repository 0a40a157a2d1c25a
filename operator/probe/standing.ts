// What may be said of a segment after what was tried, and when to try again. Pure: no clock, no I/O.
import type { TextInForce } from '../broker/broker.ts';
import { explain, type Problem } from './errors.ts';
import type { Findings } from './questions.ts';

/** `pending`: nothing was tried yet by this process; what stands in a status holds meanwhile. */
export type Standing = { state: 'passed' | 'failed' | 'unknown'; reason: string; message: string } | { state: 'pending' };

/** The last probe that came to an end. Times are ms of one clock that does not jump. */
export type Tried = { atMs: number; text: TextInForce; findings: Findings };

export type ProbeState = {
  startedAtMs: number;
  tried: Tried | undefined;
  /** Why the last try came to no end. */
  stopped: { atMs: number; problem: Problem } | undefined;
  /** Since when another text is in force than the one that was tried. */
  changedAtMs: number | undefined;
};

/** Without a change of the text. Two status writes a policy would follow a False, none follows a True: the figure is for the broker's sake. */
const EVERY_MS = 300_000;
/** Between two, whatever changes: a rollout of policies is many texts. */
const GAP_MS = 15_000;
/** After one that found something, or came to no end. */
const AGAIN_MS = 30_000;
/** What was found holds so long: three probes that came to no end. */
export const FRESH_MS = 3 * EVERY_MS;
/** A new text may wait so long for its probe before what was found under the old one counts no more. */
export const CHANGED_MS = 120_000;
/** A broker that is away when the operator starts is no news for so long. */
export const START_MS = 120_000;

export function standingOf(segment: string, state: ProbeState, text: TextInForce | undefined, nowMs: number): Standing {
  const { tried, stopped, changedAtMs, startedAtMs } = state;
  if (tried !== undefined && nowMs - tried.atMs < FRESH_MS) {
    const failed = tried.findings.shared[0] ?? tried.findings.bySegment.get(segment);
    if (failed !== undefined) return { state: 'failed', reason: 'ProbeFailed', message: explain(failed) };
    const isSame = text?.segments.has(segment) === true && text.segments.get(segment) === tried.text.segments.get(segment);
    if (isSame && (changedAtMs === undefined || nowMs - changedAtMs < CHANGED_MS)) return PASSED;
  }
  const patience = Math.max(startedAtMs + START_MS, (changedAtMs ?? 0) + CHANGED_MS);
  if (nowMs < patience && (tried === undefined || nowMs - tried.atMs < FRESH_MS)) return { state: 'pending' };
  if (stopped !== undefined) return unknown('ProbeIncomplete', stopped.problem);
  return unknown('ProbeStale', { code: 'HR-PRB-014' });
}

export const NOT_CONFIGURED: Standing = unknown('NotProbed', { code: 'HR-PRB-010' });

const PASSED: Standing = {
  state: 'passed',
  reason: 'Probed',
  message:
    'tried at the broker with the text in force: a client of another segment is refused a topic of this one, foreign topics and wildcards are refused, and what the text allows goes through. Not tried: what each device of the segment may do, nor other nodes of the broker than the one that answered',
};

function unknown(reason: string, problem: Problem): Standing {
  return { state: 'unknown', reason, message: explain(problem) };
}

/** ms until the next probe is due. */
export function dueInMs({ tried, stopped }: ProbeState, text: TextInForce | undefined, nowMs: number): number {
  const last = Math.max(tried?.atMs ?? Number.NEGATIVE_INFINITY, stopped?.atMs ?? Number.NEGATIVE_INFINITY);
  if (last === Number.NEGATIVE_INFINITY) return 0;
  const isEnded = tried !== undefined && tried.atMs === last;
  if (!isEnded) return Math.max(0, last + AGAIN_MS - nowMs);
  if (text !== undefined && tried.text.digest !== text.digest) return Math.max(0, last + GAP_MS - nowMs);
  const isGood = tried.findings.shared.length === 0 && tried.findings.bySegment.size === 0;
  return Math.max(0, last + (isGood ? EVERY_MS : AGAIN_MS) - nowMs);
}
