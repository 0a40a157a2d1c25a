// When the broker is tried, what became of it, and who is told. Nothing of it outlives the process: the next one tries again.
import type { SegmentRights, TextInForce } from '../broker/broker.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController } from '../runtime/controller.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Outcome } from '../runtime/outcome.ts';
import type { ProbeMetrics } from './probe-metrics.ts';
import { findingsOf, isClean, type Question, questionsOf } from './questions.ts';
import type { Run } from './run.ts';
import { dueInMs, type ProbeState, type Standing, standingOf } from './standing.ts';

export type LoopDeps = {
  /** Over one connection. Never rejects. */
  ask(questions: readonly Question[], signal: AbortSignal): Promise<Run>;
  /** The text that was read back. */
  text(): TextInForce | undefined;
  /** What the text should grant. Throws while that is not known. */
  rights(): readonly SegmentRights[];
  clock: Clock;
  log: Log;
  metrics: Metrics;
  measured: ProbeMetrics;
};

export type Loop = {
  /** Of a segment, `<segment>.<namespace>`. */
  standing(segment: string): Standing;
  /** Another text may be in force. */
  textChanged(): void;
  /** Called with the segments of which `standing` says something else. */
  onChange(listener: (segments: ReadonlySet<string>) => void): void;
  controller: Controller;
};

const KEY = 'broker';
/** A text that is not there yet, or that changed while it was tried, is looked for again this soon. */
const LOOK_MS = 5_000;
const SECOND_LOOK_MS = 5_000;
/** 2,000 segments are 40 packets; a certificate may take a minute. */
const LONGEST_MS = 300_000;

export function createLoop(deps: LoopDeps): Loop {
  const { clock, log } = deps;
  const listeners: ((segments: ReadonlySet<string>) => void)[] = [];
  const state: ProbeState = { startedAtMs: clock.elapsed(), tried: undefined, stopped: undefined, changedAtMs: undefined };
  const told = new Map<string, string>();

  async function reconcile(signal: AbortSignal): Promise<Outcome> {
    const text = deps.text();
    noteText(text);
    const dueMs = dueInMs(state, text, clock.elapsed());
    if (text !== undefined && dueMs === 0) await probe(text, signal);
    tell();
    const now = deps.text();
    const nextMs = now === undefined ? LOOK_MS : dueInMs(state, now, clock.elapsed());
    return { kind: 'requeue', afterMs: Math.max(nextMs, LOOK_MS), reason: 'level-triggered' };
  }

  function noteText(text: TextInForce | undefined): void {
    const same = state.tried === undefined || state.tried.text.digest === text?.digest;
    state.changedAtMs = same ? undefined : (state.changedAtMs ?? clock.elapsed());
  }

  async function probe(text: TextInForce, signal: AbortSignal): Promise<void> {
    const questions = questionsOf(text, deps.rights());
    let made = await deps.ask(questions, signal);
    // A finding is a reason for an alarm: it must be there twice, over two connections, and longer than nodes of a broker need to pass a text on to each other.
    if (made.ended && !isClean(findingsOf(made.answers))) {
      await clock.sleep(SECOND_LOOK_MS, signal);
      const again = await deps.ask(questions, signal);
      if (again.ended) made = again;
    }
    if (signal.aborted) return;
    // Our own loop may have written another text meanwhile: then the answers belong to neither.
    if (deps.text()?.digest !== text.digest) return;
    note(text, questions, made);
  }

  function note(text: TextInForce, questions: readonly Question[], made: Run): void {
    const atMs = clock.elapsed();
    if (!made.ended) {
      state.stopped = { atMs, problem: made.problem };
      deps.measured.ended('broker', 'incomplete', 0, clock.now());
      log.warn({ code: made.problem.code, found: made.problem.found }, 'the broker could not be probed; it is tried again');
      return;
    }
    const findings = findingsOf(made.answers);
    const answered = new Set(made.answers.map(({ question }) => question));
    const untried = new Set(questions.filter((question) => !answered.has(question)).map(({ segment }) => segment));
    const segments = new Map([...text.segments].filter(([segment]) => !untried.has(segment)));
    state.tried = { atMs, text: { digest: text.digest, segments }, findings };
    state.stopped = undefined;
    state.changedAtMs = undefined;
    const problems = [...findings.shared, ...findings.bySegment.values()];
    deps.measured.ended('broker', problems.length === 0 ? 'passed' : 'failed', problems.length, clock.now());
    const [first] = problems;
    if (first !== undefined)
      log.error({ code: first.code, findings: problems.length, found: first.found }, 'the broker does not enforce its text');
  }

  /** Whoever shows it hears of what reads differently now. `pending` is no news: what stands there stays. */
  function tell(): void {
    const names = new Set([...told.keys(), ...(deps.text()?.segments.keys() ?? [])]);
    const changed = new Set<string>();
    for (const name of names) {
      const standing = standingOf(name, state, deps.text(), clock.elapsed());
      if (standing.state === 'pending') continue;
      const words = `${standing.reason} ${standing.message}`;
      if (told.get(name) !== words) changed.add(name);
      told.set(name, words);
    }
    if (changed.size > 0) for (const listener of listeners) listener(changed);
  }

  const controller = createController({
    ...{ name: 'probe', concurrency: 1, clock, log, metrics: deps.metrics, timeoutMs: LONGEST_MS },
    reconcile: (_key, ctx) => reconcile(ctx.signal),
  });
  controller.queue.add(KEY);
  return {
    standing: (segment) => standingOf(segment, state, deps.text(), clock.elapsed()),
    textChanged: () => controller.queue.add(KEY),
    onChange: (listener) => void listeners.push(listener),
    controller,
  };
}
