// What a scene claims and whether it held; the summary and the exit code that follow. Pure.
import type { Paint } from './paint.ts';
import { wrap } from './text.ts';

/** `seen` is what was measured in this run, whether it is as claimed or not. */
export type Check = { claim: string; held: boolean; seen: string };

export type Outcome = {
  number: number;
  /** What the scene proves, in a few words. */
  proof: string;
  checks: Check[];
  /** Why the scene cannot be played here: nothing is said about what it would prove. */
  leftOut?: string | undefined;
  /** Why the scene could not be played to its end. */
  broken?: string;
  /** The one figure or answer that the summary shows. */
  figure?: string;
};

/** A scene that checked nothing, or did not come to its end, proved nothing. */
export function held(outcome: Outcome): boolean {
  return outcome.broken === undefined && outcome.checks.length > 0 && outcome.checks.every((check) => check.held);
}

/** 0 only when every scene of the play was played and held, but for those that cannot be played here. */
export function exitCodeOf(outcomes: readonly Outcome[], scenes: number): 0 | 1 {
  return outcomes.length === scenes && outcomes.some(held) && outcomes.every((outcome) => held(outcome) || outcome.leftOut !== undefined)
    ? 0
    : 1;
}

export function checkLines(check: Check, paint: Paint, width: number): string[] {
  const [first = '', ...rest] = wrap(`   ${word(check.held)}  ${check.claim}: ${check.seen}`, width, 11);
  return [colourWord(first, check.held, paint), ...rest];
}

export function summaryLines(outcomes: readonly Outcome[], scenes: number, paint: Paint, width: number): string[] {
  const longest = Math.max(0, ...outcomes.map(({ proof }) => proof.length));
  // All figures beside their proofs, or all below them.
  const beside = outcomes.every((outcome) => longest + 17 + remark(outcome).length <= width);
  const lines = outcomes.flatMap((outcome) => {
    const ok = held(outcome);
    const title = `   ${outcome.leftOut === undefined ? word(ok) : 'skip  '}  ${String(outcome.number).padStart(2)}  ${outcome.proof}`;
    const figure = remark(outcome);
    const [first = '', ...rest] = beside
      ? [`${title.padEnd(longest + 15)}  ${figure}`]
      : [...wrap(title, width, 15), ...wrap(`               ${figure}`, width, 15)];
    return [colourWord(first, ok, paint), ...rest];
  });
  const kept = outcomes.filter(held).length;
  const leftOut = outcomes.filter((outcome) => outcome.leftOut !== undefined).length;
  const missing = scenes - outcomes.length;
  const total = `${kept} of ${scenes} held${leftOut > 0 ? `, ${leftOut} cannot be played here` : ''}${missing > 0 ? `, ${missing} not played` : ''}`;
  return [...lines, '', exitCodeOf(outcomes, scenes) === 0 ? paint.bold(paint.green(total)) : paint.bold(paint.red(total))];
}

function remark(outcome: Outcome): string {
  if (outcome.leftOut !== undefined) return outcome.leftOut;
  if (outcome.broken !== undefined) return outcome.broken;
  const failed = outcome.checks.filter((check) => !check.held);
  if (failed.length > 0) return failed.map(({ claim, seen }) => `${claim}: ${seen}`).join('; ');
  return outcome.figure ?? `${outcome.checks.length} checks`;
}

const word = (ok: boolean): string => (ok ? 'held  ' : 'FAILED');

function colourWord(line: string, ok: boolean, paint: Paint): string {
  return ok ? line.replace('held', paint.green('held')) : line.replace('FAILED', paint.bold(paint.red('FAILED')));
}
