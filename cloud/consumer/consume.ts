// The consumer's life at the broker: connects, subscribes, takes; connects again when the connection or the store fails.
import { readFile } from 'node:fs/promises';
import { createBackoff } from '../../operator/kube/backoff.ts';
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';
import { openSubscriber, type Subscriber, type Target } from '../../operator/runtime/mqtt-subscriber.ts';
import type { Random } from '../../operator/runtime/random.ts';
import { ERRORS, explain, Refused } from './errors.ts';
import { type Intake, MOST_UNDER_WAY } from './intake.ts';
import type { Store } from './store.ts';

export const FILTERS = ['agg/#', 'alert/#'];
/** As long as the broker keeps what comes while the consumer is away: a long weekend. */
const SESSION_SECONDS = 4 * 86_400;

export type ConsumeOptions = {
  target: Target;
  clientId: string;
  /** Read again for every connection: a certificate that was renewed counts from the next one on. */
  files: { cert: string; key: string; ca: string | undefined };
  mostBytes: number;
};

type Deps = { store: Store; intake: Intake; clock: Clock; random: Random; log: Log; connected(is: boolean): void };

/** Until the signal aborts. */
export async function consume(options: ConsumeOptions, deps: Deps, signal: AbortSignal): Promise<void> {
  const { clock, log } = deps;
  const backoff = createBackoff(deps.random);
  while (!signal.aborted) {
    const startedAt = clock.elapsed();
    const why = await oneConnection(options, deps, signal).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    );
    deps.connected(false);
    deps.intake.drop();
    if (signal.aborted) return;
    log.warn({ found: why }, 'the consumer hears nothing; it connects again');
    await clock.sleep(backoff.next(clock.elapsed() - startedAt), signal).catch(() => undefined);
  }
}

/** From its beginning to its end; gives why it ended. */
async function oneConnection(options: ConsumeOptions, deps: Deps, signal: AbortSignal): Promise<string> {
  const { intake, clock } = deps;
  const wake = createWake();
  const take: Intake['take'] = (delivery) => {
    intake.take(delivery);
    if (intake.isFull()) connection?.pause();
    wake.now();
  };
  let connection: Subscriber | undefined;
  const credentials = { ...(await readFiles(options.files)), clientId: options.clientId };
  connection = await openSubscriber(options.target, credentials, {
    ...{ name: 'consumer', qos: 1, take, mostBytes: options.mostBytes, clock },
    session: { seconds: SESSION_SECONDS, mostUnderWay: MOST_UNDER_WAY },
  });
  const close = (): void => connection?.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    if (signal.aborted) close();
    await begin(connection, options, deps);
    deps.connected(true);
    let end: string | undefined;
    void connection.ended.then((why) => {
      end = why;
      wake.now();
    });
    while (end === undefined) {
      await wake.next();
      await intake.drain();
      connection.resume();
    }
    return end;
  } catch (error) {
    if (error instanceof Refused) deps.log.error({ ...error.problem }, error.message);
    throw error;
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

async function begin(connection: Subscriber, { clientId }: ConsumeOptions, { store, clock, log }: Deps): Promise<void> {
  if (!connection.isResumed && (await store.hadSession(clientId))) {
    await store.note({ code: 'HR-CC-203', says: ERRORS['HR-CC-203'].cause, atMs: clock.now() });
    log.error({ code: 'HR-CC-203' }, explain({ code: 'HR-CC-203' }));
  }
  const code = await connection.subscribe(FILTERS);
  if (code !== undefined) throw new Refused('HR-CC-204', `the broker answers 0x${code.toString(16)} to ${FILTERS.join(' and ')}`);
  await store.rememberSession(clientId, clock.now());
  log.info({ resumed: connection.isResumed }, 'the consumer hears the sites');
}

async function readFiles({
  cert,
  key,
  ca,
}: ConsumeOptions['files']): Promise<{ certificate: string; key: string; ca: string | undefined }> {
  const read = (file: string): Promise<string> => readFile(file, 'utf8');
  return { certificate: await read(cert), key: await read(key), ca: ca === undefined ? undefined : await read(ca) };
}

/** Remembers that it was woken while nobody waited. */
function createWake(): { now(): void; next(): Promise<void> } {
  let gate = Promise.withResolvers<void>();
  return {
    now: () => gate.resolve(),
    async next() {
      await gate.promise;
      gate = Promise.withResolvers<void>();
    },
  };
}
