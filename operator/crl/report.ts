// Says why an issuer has no CRL or not the right one, where people look: the log, a metric, an Event on the issuer (`kubectl describe issuer`).
import type { Clock } from '../runtime/clock.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import { ERRORS, explain, type Problem } from './errors.ts';
import { type IssuerName, parseIssuer } from './issuers.ts';

/** One problem of each aspect at a time. */
export type Aspect = 'issuer' | 'ledger' | 'distribution' | 'key' | 'age';

export interface Report {
  set(issuer: string, aspect: Aspect, problem: Problem | undefined): void;
  /** The problem that keeps this issuer from a list, or any other; undefined when all is well. */
  problem(issuer: string): Problem | undefined;
  /** Issuer and reason, for the metric. */
  all(): Iterable<[issuer: string, reason: string]>;
}

type Said = { problem: Problem; text: string; saidAt: number };

/** Events live for an hour. */
const SAY_AGAIN_MS = 3_600_000;
const ORDER: readonly Aspect[] = ['issuer', 'ledger', 'age', 'key', 'distribution'];

export type ReportDeps = {
  recorder: Pick<Recorder, 'event'>;
  uidOf: (issuer: string) => string | undefined;
  clock: Clock;
  log: Log;
};

export function createReport({ recorder, uidOf, clock, log }: ReportDeps): Report {
  const known = new Map<string, Map<Aspect, Said>>();

  function set(issuer: string, aspect: Aspect, problem: Problem | undefined): void {
    const of = known.get(issuer) ?? new Map<Aspect, Said>();
    known.set(issuer, of);
    const before = of.get(aspect);
    if (problem === undefined) {
      if (before === undefined) return;
      of.delete(aspect);
      log.info({ issuer, reason: ERRORS[before.problem.code].title }, 'what kept this issuer from its CRL is over');
      if (of.size === 0) tell(issuer, 'Normal', 'CRLAvailable', 'The CRL of this issuer is published again.');
      return;
    }
    const text = explain(problem);
    if (before?.text === text && clock.elapsed() - before.saidAt < SAY_AGAIN_MS) return;
    of.set(aspect, { problem, text, saidAt: clock.elapsed() });
    log.warn({ issuer, code: problem.code }, `CRLUnavailable: ${text}`);
    tell(issuer, 'Warning', 'CRLUnavailable', text);
  }

  function tell(issuer: string, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const name = parseIssuer(issuer);
    if (name !== undefined) recorder.event(regarding(name, uidOf(issuer)), { type, reason, message, action: 'PublishCRL' });
  }

  return {
    set,
    problem(issuer) {
      const of = known.get(issuer);
      for (const aspect of ORDER) {
        const found = of?.get(aspect);
        if (found !== undefined) return found.problem;
      }
      return undefined;
    },
    *all() {
      for (const [issuer, of] of known) for (const { problem } of of.values()) yield [issuer, ERRORS[problem.code].title];
    },
  };
}

function regarding({ kind, namespace, name }: IssuerName, uid: string | undefined) {
  return {
    apiVersion: 'cert-manager.io/v1',
    kind,
    name,
    ...(namespace === '' ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
  };
}
