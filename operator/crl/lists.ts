// The lists of all issuers: what changes them, and who is told. No server and no process, so that tests can have a world of their own around it.
import type { KubeClient } from '../kube/client.ts';
import type { Random } from '../kube/ports.ts';
import type { Reflector } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type Authorities, createAuthorities } from './authorities.ts';
import { createCrlMetrics } from './crl-metrics.ts';
import type { Problem } from './errors.ts';
import { createIssuers, parseIssuer } from './issuers.ts';
import { createLedgerWatch } from './ledger-watch.ts';
import { createPublisher, type PublishedList, type Publisher, renewAfterMs } from './publisher.ts';
import { createReport, type Report } from './report.ts';
import { Revocations } from './revocations.ts';
import { startingUp } from './starting-up.ts';

export type ListsDeps = {
  client: KubeClient;
  /** The operator's own namespace: the ledger lies there. */
  namespace: string;
  /** Served in any case; those that the ledger names as well. */
  issuers: readonly string[];
  clusterResourceNamespace: string;
  validityMs: number;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export interface Lists {
  readonly reflectors: readonly Reflector<Projected>[];
  /** Reads the CAs, once the reflectors are filled, until the signal. */
  run(signal: AbortSignal): Promise<void>;
  list(issuer: string): PublishedList | undefined;
  /** Why there is none; undefined for an issuer that is not served. */
  problem(issuer: string): Problem | undefined;
  /** Why this process may not take the place of another yet. */
  startingUp(): string | undefined;
  /** For the metrics. */
  requested(status: number): void;
}

export function createLists(deps: ListsDeps): Lists {
  const { client, clock, random, log, metrics, namespace, recorder, validityMs, clusterResourceNamespace } = deps;
  // Without the namespace: issuers are watched in all of them.
  const shared = { client, clock, random, log, metrics };
  // A list is made at least each `renewAfterMs`; two of them outlast the moment at which one is late.
  const revocations = new Revocations(2 * renewAfterMs(validityMs));
  const gauges = createCrlMetrics(metrics.registry, { publisher: () => publisher, report: () => report, clock });
  const publisher: Publisher = createPublisher({ revocations, validityMs, clock, log, published: gauges.published });
  const issuers = createIssuers(shared, (issuer) => authorities.look(issuer));
  const uidOf = (issuer: string): string | undefined => {
    const name = parseIssuer(issuer);
    return name === undefined ? undefined : issuers.get(name)?.uid;
  };
  const report: Report = createReport({ recorder, uidOf, clock, log });
  const authorities: Authorities = createAuthorities({ client, issuers, clusterResourceNamespace, publisher, report, clock, log });
  let ledgerProblem: Problem | undefined;
  const add = (issuer: string): void => {
    authorities.add(issuer);
    report.set(issuer, 'ledger', ledgerProblem);
  };
  const ledger = createLedgerWatch({
    ...shared,
    namespace,
    revocations,
    issuer: add,
    changed: (changed) => publisher.changed(changed),
    problem(text) {
      ledgerProblem =
        text === undefined ? undefined : { code: 'HR-CRL-020', found: `a page of the certificate ledger does not read (${text})` };
      publisher.holdFirstLists(text !== undefined);
      for (const issuer of authorities.known()) report.set(issuer, 'ledger', ledgerProblem);
    },
  });
  for (const issuer of deps.issuers) add(issuer);
  return {
    reflectors: [ledger, ...issuers.reflectors],
    run: (signal) => authorities.run(signal),
    list: publisher.list,
    problem: (issuer) => (authorities.isKnown(issuer) ? (report.problem(issuer) ?? { code: 'HR-CRL-031' }) : undefined),
    startingUp: startingUp(authorities, publisher, report),
    requested: gauges.requested,
  };
}
