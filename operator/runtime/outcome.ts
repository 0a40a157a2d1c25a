// The expected ends of a reconcile are values. What is thrown is unexpected: logged, counted, retried with back-off.

export type Outcome =
  /** Nothing to do until the next event. */
  | { kind: 'done' }
  /** Planned: renewal, soak, expiry. */
  | { kind: 'requeue'; afterMs: number; reason: string }
  /** A dependency is not there yet: Ready=Unknown. */
  | { kind: 'waiting'; afterMs: number; reason: string; message: string }
  /** Only a change of the spec helps: Ready=False, Stalled=True. */
  | { kind: 'stalled'; reason: string; message: string };

export const done: Outcome = { kind: 'done' };

/** The one of several outcomes that decides what happens next: stalled over waiting over requeue over done, and the earliest of two alike. */
export function strictest(outcomes: Iterable<Outcome>): Outcome {
  let chosen: Outcome = done;
  for (const outcome of outcomes) {
    if (rank(outcome) > rank(chosen) || (outcome.kind === chosen.kind && delayOf(outcome) < delayOf(chosen))) chosen = outcome;
  }
  return chosen;
}

const RANK = { done: 0, requeue: 1, waiting: 2, stalled: 3 } as const;
const rank = (outcome: Outcome): number => RANK[outcome.kind];
const delayOf = (outcome: Outcome): number => ('afterMs' in outcome ? outcome.afterMs : Number.POSITIVE_INFINITY);
