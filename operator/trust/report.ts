// Says how the rotation stands, where people look: status.json of the ConfigMap, Events on it, metrics, the log.
import { CONFIG_MAPS } from '../api/resources.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { ERRORS, explain, type Problem } from './errors.ts';
import { type createState, STATUS_KEY, type State, type TrustStatus } from './state.ts';
import { createTrustMetrics } from './trust-metrics.ts';

export type ReportDeps = {
  state: ReturnType<typeof createState>;
  namespace: string;
  /** Of the ConfigMap. */
  name: string;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

/** Counts move with each device: the status follows them no faster, a phase at once. */
const COUNTS_MS = 30_000;
/** Events live for an hour. */
const SAY_AGAIN_MS = 3_600_000;

export function createReport({ state, namespace, name, recorder, clock, log, metrics }: ReportDeps) {
  const observe = createTrustMetrics(metrics.registry);
  let writtenAt = Number.NEGATIVE_INFINITY;
  let said = { text: '', at: Number.NEGATIVE_INFINITY };

  /** Written at once when the phase or what is wrong changes; counts alone in their own time. */
  async function status(before: State, now: TrustStatus, problem: Problem | undefined, signal: AbortSignal): Promise<void> {
    observe(now);
    if (problem !== undefined) complain(before.uid, problem);
    const text = JSON.stringify(now);
    if (text === JSON.stringify(before.status)) return;
    const isNews = now.phase !== before.status.phase;
    const isFact = now.sequence !== before.status.sequence || now.switchedFor !== before.status.switchedFor;
    const isComplaint = problem !== undefined && now.message !== before.status.message;
    if (!isNews && !isFact && !isComplaint && clock.elapsed() < writtenAt + COUNTS_MS) return;
    await state.write({ [STATUS_KEY]: text }, before, signal);
    writtenAt = clock.elapsed();
    if (!isNews || problem !== undefined) return;
    tell(before.uid, { type: 'Normal', reason: now.phase, message: now.message });
    log.info({ phase: now.phase, confirmed: now.confirmed, of: now.of }, now.message);
  }

  function complain(uid: string | undefined, problem: Problem): void {
    const text = explain(problem);
    if (text === said.text && clock.elapsed() < said.at + SAY_AGAIN_MS) return;
    said = { text, at: clock.elapsed() };
    log.warn({ code: problem.code }, text);
    tell(uid, { type: 'Warning', reason: ERRORS[problem.code].title, message: text });
  }

  function tell(uid: string | undefined, note: { type: 'Normal' | 'Warning'; reason: string; message: string }): void {
    const regarding = { apiVersion: 'v1', kind: CONFIG_MAPS.kind, name, namespace, ...(uid === undefined ? {} : { uid }) };
    recorder.event(regarding, { ...note, action: 'DistributeAnchors' });
  }

  return { status, missing: (problem: Problem): void => complain(undefined, problem) };
}
