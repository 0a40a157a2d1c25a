// The door of `operator crl`: a process of its own, because it is the only one that reads the keys of the device CAs. It writes nothing but events.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { connect, type KubeClient } from '../kube/client.ts';
import type { KubeConnection } from '../kube/config.ts';
import type { Reflector } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { systemClock } from '../runtime/clock.ts';
import { createRecorder } from '../runtime/events.ts';
import { createHealthServer } from '../runtime/health.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createManager, type ExitCode } from '../runtime/manager.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { systemRandom } from '../runtime/random.ts';
import { untilAborted } from '../runtime/until-aborted.ts';
import { createFetchList } from './fetch-list.ts';
import { createIssuers } from './issuers.ts';
import { createLists } from './lists.ts';
import { CRL_HELP, type CrlOptions, parseCrlOptions } from './options.ts';
import { createListServer, type ListServer } from './server.ts';
import { createListSight, type ListSight, type SightDeps } from './sight.ts';

export const crlHelp = CRL_HELP;
export const parseCrl = parseCrlOptions;

export type ListSightDeps = {
  /** Of the CRL server, without a slash at the end. */
  url: string;
  /** CA certificates in PEM. */
  caFile: string;
  entries: SightDeps['entries'];
  client: KubeClient;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

/** For the operator: what it sees of the lists from outside, as a broker does. */
export function watchLists(deps: ListSightDeps): ListSight & { readonly reflectors: readonly Reflector<Projected>[] } {
  const { url, caFile, entries, client, clock, random, log, metrics } = deps;
  const issuers = createIssuers({ client, clock, random, log, metrics }, () => undefined);
  const readAuthorities = (): Promise<string> => readFile(caFile, 'utf8').catch(() => '');
  const sight = createListSight({ url, readAuthorities, fetchList: createFetchList(clock), issuers, entries, clock, log });
  return { ...sight, reflectors: issuers.reflectors };
}

/** Runs until the signal aborts or a part fails; gives the exit code of the process. */
export async function runCrl(options: CrlOptions, connection: KubeConnection, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base = { clock: systemClock, random: systemRandom, log, metrics };
  const client = connect(connection, { ...base, userAgent: 'hedgerow-crl' });
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const manager = createManager({ ...base, health });
  const namespace = options.namespace ?? connection.namespace;
  const { host, port, clusterResourceNamespace, validityMs } = options;
  const recorder = createRecorder({ ...base, client, controller: 'hedgerow-crl', instance: `${hostname()}_${randomUUID()}` });
  const lists = createLists({ ...base, issuers: options.issuers, clusterResourceNamespace, validityMs, client, namespace, recorder });
  const server = createListServer({ ...base, host, port, list: lists.list, problem: lists.problem, observed: lists.requested });
  health.ready({ name: 'lists', failing: lists.startingUp });
  for (const reflector of lists.reflectors) manager.cache(reflector);
  manager.always({ name: 'events', run: (stop) => recorder.run(stop) });
  manager.always({ name: 'authorities', run: (stop) => lists.run(stop) });
  manager.always({ name: 'lists', run: (stop) => serve(server, log, stop) });
  log.info({ server: connection.server, namespace, issuers: options.issuers }, 'the CRL server starts');
  try {
    return await manager.run(signal);
  } finally {
    await client.close();
  }
}

async function serve(server: ListServer, log: Log, signal: AbortSignal): Promise<void> {
  const { port } = await server.listen();
  log.info({ port }, 'CRLs are served');
  await untilAborted(signal);
  await server.close();
}
