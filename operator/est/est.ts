// The door of the EST server: `operator est`, a process of its own because it reads what strangers send. It may create requests and burn tokens, nothing else.
import { Counter } from 'prom-client';
import { createEnrolment } from '../identity/identity.ts';
import { connect, type KubeClient } from '../kube/client.ts';
import type { KubeConnection } from '../kube/config.ts';
import { systemClock } from '../runtime/clock.ts';
import { createHealthServer } from '../runtime/health.ts';
import { createLog } from '../runtime/log.ts';
import { createManager, EXIT, type ExitCode } from '../runtime/manager.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { systemRandom } from '../runtime/random.ts';
import { untilAborted } from '../runtime/until-aborted.ts';
import { createEnrol } from './enrol.ts';
import { type Material, readMaterial, watchMaterial } from './files.ts';
import { createLimiter } from './limits.ts';
import { EST_HELP, type EstOptions, parseEstOptions } from './options.ts';
import { createEstServer, type EstServer } from './server.ts';
import { createSecrets } from './store.ts';
import {
  forgettable as forgettableOf,
  readTokenRecord as readRecord,
  freshRecord as recordOf,
  TOKENS_SECRET as TOKENS,
  decode as textOf,
} from './token.ts';
import { createToldAnchors } from './told-anchors.ts';

export const estHelp = EST_HELP;
export const parseEst = parseEstOptions;

/** For whoever gives devices their tokens. */
export const tokensSecret = TOKENS;
export const freshTokenRecord = recordOf;
export const forgettableTokens = forgettableOf;
export const readTokenRecord = readRecord;
export const decodeToken = textOf;

/** Requests of one Device that has proved itself: a burst, then one each ten seconds. */
const DEVICE_LIMIT = { burst: 10, refillEveryMs: 10_000 };

/** Runs until the signal aborts or a part fails; gives the exit code of the process. */
export async function runEst(options: EstOptions, connection: KubeConnection, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base = { clock: systemClock, random: systemRandom, log, metrics };
  const client = connect(connection, { ...base, userAgent: 'hedgerow-est' });
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const manager = createManager({ ...base, health });
  const namespace = options.namespace ?? connection.namespace;
  try {
    const first = await readMaterial(options).catch((err: unknown) => log.error({ err }, 'the files of the TLS and CA flags do not read'));
    if (first === undefined) return EXIT.failed;
    const { reflectors, server, renew, told } = compose(options, first, { ...base, client, namespace });
    await told.read();
    for (const reflector of reflectors) manager.cache(reflector);
    manager.always({ name: 'server anchors', run: (stop) => told.run(stop) });
    manager.always({ name: 'est', run: (stop) => serve(server, log, stop) });
    manager.always({ name: 'certificates', run: (stop) => watchMaterial(options, first, renew, { ...base, signal: stop }) });
    log.info({ server: connection.server, namespace }, 'the EST server starts');
    return await manager.run(signal);
  } finally {
    await client.close();
  }
}

type Base = {
  clock: typeof systemClock;
  random: typeof systemRandom;
  log: ReturnType<typeof createLog>;
  metrics: ReturnType<typeof createMetrics>;
};

function compose(options: EstOptions, first: Material, parts: Base & { client: KubeClient; namespace: string }) {
  const { clock, log, metrics, client } = parts;
  let material = first;
  const authorities = () => material.authorities;
  const enrolment = createEnrolment({ ...parts, defaultIssuer: options.defaultIssuer });
  const secrets = createSecrets(client, clock);
  const perDevice = createLimiter({ ...DEVICE_LIMIT, clock });
  const perAddress = createLimiter({ burst: options.addressBurst, refillEveryMs: 60_000 / options.addressBurst, clock });
  const { enrol, subjectFor } = createEnrol({ enrolment, secrets, authorities, perDevice, waitMs: options.waitSeconds * 1000, clock, log });
  const requests = new Counter({
    name: 'fleet_est_requests_total',
    help: 'Requests to the EST server by operation and HTTP status',
    labelNames: ['operation', 'status'],
    registers: [metrics.registry],
  });
  const { host, port, anchorsDir, messageFile } = options;
  const told = createToldAnchors({ anchorsDir, messageFile, clock, log });
  const observed = (operation: string, status: number): void => requests.inc({ operation, status: String(status) });
  const server = createEstServer({ host, port, ...first, authorities, told, enrol, subjectFor, perAddress, observed, clock, log });
  const renew = (next: Material): void => {
    server.setCertificate(next.key, next.cert);
    material = next;
  };
  return { reflectors: enrolment.reflectors, server, renew, told };
}

async function serve(server: EstServer, log: Base['log'], signal: AbortSignal): Promise<void> {
  const { port } = await server.listen();
  log.info({ port }, 'EST is served');
  await untilAborted(signal);
  await server.close();
}
