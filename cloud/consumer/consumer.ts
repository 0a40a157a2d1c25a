// The cloud consumer put together: messages of sites in, a store that is asked and a page that is looked at out.
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../operator/runtime/clock.ts';
import { createHealthServer } from '../../operator/runtime/health.ts';
import { createLog, type Log } from '../../operator/runtime/log.ts';
import { createManager, EXIT, type ExitCode } from '../../operator/runtime/manager.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { MOST_BYTES } from './accept.ts';
import { consume } from './consume.ts';
import { Refused } from './errors.ts';
import { createIntake } from './intake.ts';
import { createConsumerMetrics } from './metrics.ts';
import type { ConsumerOptions } from './options.ts';
import { servePage } from './page/server.ts';
import { serveQueries } from './query.ts';
import { openStore, type Store } from './store.ts';

const DAY_MS = 86_400_000;
const CLEAN_EVERY_MS = 3_600_000;
/** The topic, the properties and the header of a PUBLISH beside its payload. */
const AROUND_PAYLOAD = 4_096;

/** Runs until the signal aborts or a part fails; gives the exit code of the process. */
export async function runConsumer(options: ConsumerOptions, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  try {
    const store = await openStore(options.storeFile);
    try {
      return await run(options, store, log, signal);
    } finally {
      store.close();
    }
  } catch (error) {
    if (error instanceof Refused) log.error({ ...error.problem }, error.message);
    else log.error({ err: error }, 'the start failed');
    return EXIT.failed;
  }
}

async function run(options: ConsumerOptions, store: Store, log: Log, signal: AbortSignal): Promise<ExitCode> {
  const [clock, random] = [systemClock, systemRandom];
  const metrics = createMetrics({ processMetrics: true });
  const counts = createConsumerMetrics(metrics);
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const manager = createManager({ clock, log, health });
  const intake = createIntake({ store, clock, log, metrics: counts });
  let isConnected = false;
  const connected = (is: boolean): void => {
    isConnected = is;
    counts.connected(is);
  };
  health.ready({ name: 'broker', failing: () => (isConnected ? undefined : 'not subscribed at the broker') });
  const clientId = options.clientId ?? commonName(await readFile(options.certFile, 'utf8'));
  const files = { cert: options.certFile, key: options.keyFile, ca: options.caFile };
  const wish = { target: options.broker, clientId, files, mostBytes: MOST_BYTES + AROUND_PAYLOAD };
  manager.always({ name: 'consumer', run: (stop) => consume(wish, { store, intake, clock, random, log, connected }, stop) });
  manager.always({ name: 'queries', run: (stop) => serveQueries(options.storeFile, store, clock, stop) });
  manager.always({ name: 'page', run: (stop) => servePage({ ...options, store, clock, log }, stop) });
  if (options.keepDays > 0) manager.always({ name: 'retention', run: (stop) => clean(store, options.keepDays * DAY_MS, log, stop) });
  return await manager.run(signal);
}

async function clean(store: Store, keepMs: number, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await store.forget(systemClock.now() - keepMs).catch((error: unknown) => log.warn({ err: error }, 'old messages could not be removed'));
    await systemClock.sleep(CLEAN_EVERY_MS, signal).catch(() => undefined);
  }
}

function commonName(pem: string): string {
  const name = /^CN=(.+)$/m.exec(new X509Certificate(pem).subject)?.[1];
  if (name === undefined) throw new Error('the certificate has no CN: give --client-id');
  return name;
}
