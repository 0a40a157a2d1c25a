// The door of `operator crl`: a process of its own, because it is the only one that reads the keys of the device CAs. It writes nothing but events.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { connect, type KubeClient } from '../kube/client.ts';
import type { KubeConnection } from '../kube/config.ts';
import { systemClock } from '../runtime/clock.ts';
import { createRecorder } from '../runtime/events.ts';
import { createHealthServer } from '../runtime/health.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createManager, type ExitCode, type Manager } from '../runtime/manager.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { systemRandom } from '../runtime/random.ts';
import { type Authorities, createAuthorities } from './authorities.ts';
import { createCrlMetrics } from './crl-metrics.ts';
import type { Problem } from './errors.ts';
import { createIssuers, parseIssuer } from './issuers.ts';
import { createLedgerWatch } from './ledger-watch.ts';
import { CRL_HELP, type CrlOptions, parseCrlOptions } from './options.ts';
import { createPublisher, type Publisher, renewAfterMs } from './publisher.ts';
import { createReport, type Report } from './report.ts';
import { Revocations } from './revocations.ts';
import { createListServer, type ListServer } from './server.ts';
import { startingUp } from './starting-up.ts';

export const crlHelp = CRL_HELP;
export const parseCrl = parseCrlOptions;

/** Runs until the signal aborts or a part fails; gives the exit code of the process. */
export async function runCrl(options: CrlOptions, connection: KubeConnection, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base = { clock: systemClock, random: systemRandom, log, metrics };
  const client = connect(connection, { ...base, userAgent: 'hedgerow-crl' });
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const manager = createManager({ ...base, health });
  const namespace = options.namespace ?? connection.namespace;
  const { authorities, publisher, report } = compose(manager, options, { ...base, client, namespace });
  health.ready({ name: 'lists', failing: startingUp(authorities, publisher, report) });
  log.info({ server: connection.server, namespace, issuers: options.issuers }, 'the CRL server starts');
  try {
    return await manager.run(signal);
  } finally {
    await client.close();
  }
}

type Parts = { clock: typeof systemClock; random: typeof systemRandom; log: Log; metrics: Metrics; client: KubeClient; namespace: string };

type Composed = { authorities: Authorities; publisher: Publisher; report: Report };

function compose(manager: Manager, options: CrlOptions, parts: Parts): Composed {
  const { client, clock, random, log, metrics, namespace } = parts;
  // Without the namespace: issuers are watched in all of them.
  const shared = { client, clock, random, log, metrics };
  const { validityMs, clusterResourceNamespace } = options;
  const recorder = createRecorder({ client, controller: 'hedgerow-crl', instance: `${hostname()}_${randomUUID()}`, clock, log, metrics });
  // A list is made at least this often; two of them outlast the moment at which one is late.
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
  for (const issuer of options.issuers) add(issuer);

  const known = (issuer: string): boolean => [...authorities.known()].includes(issuer);
  const problem = (issuer: string): Problem | undefined => (known(issuer) ? (report.problem(issuer) ?? { code: 'HR-CRL-031' }) : undefined);
  const { host, port } = options;
  const server = createListServer({ host, port, list: publisher.list, problem, observed: gauges.requested, clock, log });
  for (const reflector of [ledger, ...issuers.reflectors]) manager.cache(reflector);
  manager.always({ name: 'events', run: (stop) => recorder.run(stop) });
  manager.always({ name: 'authorities', run: (stop) => authorities.run(stop) });
  manager.always({ name: 'lists', run: (stop) => serve(server, log, stop) });
  return { authorities, publisher, report };
}

async function serve(server: ListServer, log: Log, signal: AbortSignal): Promise<void> {
  const { port } = await server.listen();
  log.info({ port }, 'CRLs are served');
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.close();
}
