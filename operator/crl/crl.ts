// The door of `operator crl`: a process of its own, because it is the only one that reads the keys of the device CAs. It writes nothing but events.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { connect } from '../kube/client.ts';
import type { KubeConnection } from '../kube/config.ts';
import { systemClock } from '../runtime/clock.ts';
import { createRecorder } from '../runtime/events.ts';
import { createHealthServer } from '../runtime/health.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createManager, type ExitCode } from '../runtime/manager.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { systemRandom } from '../runtime/random.ts';
import { createLists } from './lists.ts';
import { CRL_HELP, type CrlOptions, parseCrlOptions } from './options.ts';
import { createListServer, type ListServer } from './server.ts';

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
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.close();
}
