// The door of `operator rollout`: the program of the Jobs that carry a FirmwareWave out at its site (docs/adr/0030-rollout-driver.md).
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { explainFirmware, readDirective, signDirective } from '../firmware/firmware.ts';
import { connect, type KubeClient } from '../kube/client.ts';
import type { KubeConnection } from '../kube/config.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { createElection, type Election } from '../runtime/election.ts';
import { createHealthServer } from '../runtime/health.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { type Random, systemRandom } from '../runtime/random.ts';
import { Core } from './core.ts';
import { type Credentials, createCredentials, type Signing } from './credentials.ts';
import { createDevices } from './devices.ts';
import { createDriverMetrics } from './driver-metrics.ts';
import { explain, type Problem } from './errors.ts';
import { takeFence } from './fence.ts';
import { drive, type Ending } from './loop.ts';
import { createMqtt } from './mqtt.ts';
import { parseRolloutOptions, ROLLOUT_HELP, type RolloutOptions } from './options.ts';
import { type Prepared, prepare, type Refusal } from './preparation.ts';
import { createWave } from './wave.ts';

export const rolloutHelp = ROLLOUT_HELP;
export const parseRollout = parseRolloutOptions;

/** sysexits.h: EX_DATAERR, EX_NOINPUT, EX_TEMPFAIL. The Job's podFailurePolicy knows them. */
const EXIT = { done: 0, signature: 65, fit: 66, again: 75 } as const;
const OF_REFUSAL = { Signature: EXIT.signature, Fit: EXIT.fit, Later: EXIT.again, Over: EXIT.done } as const;
/** One that is told to stop has not finished: its Job must not count it as complete. */
const OF_ENDING: Record<Ending, number> = {
  ...{ Done: EXIT.done, Over: EXIT.done },
  ...{ Changed: EXIT.again, Superseded: EXIT.again, LeaseLost: EXIT.again, Stopped: EXIT.again },
};
/** A Lease outlasts the process by this at the most. */
const CLOSING_MS = 3000;
const READ_MS = 60_000;

type World = { client: KubeClient; clock: Clock; random: Random; log: Log; metrics: Metrics; namespace: string };

/** Runs until the wave is done or the signal aborts; gives the exit code of the process. */
export async function runRollout(options: RolloutOptions, connection: KubeConnection, stop: AbortSignal): Promise<number> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base = { clock: systemClock, random: systemRandom, log, metrics };
  const client = connect(connection, { ...base, userAgent: 'hedgerow-rollout' });
  const health = createHealthServer({ port: options.metricsPort, registry: metrics.registry, log });
  const namespace = options.namespace ?? connection.namespace;
  try {
    await health.listen();
    return await work(options, { ...base, client, namespace }, stop);
  } catch (err) {
    if (!stop.aborted) log.error({ err }, 'the driver failed; it is tried again');
    return EXIT.again;
  } finally {
    await health.close();
    await client.close();
  }
}

async function work(options: RolloutOptions, world: World, stop: AbortSignal): Promise<number> {
  const { client, namespace, clock, log } = world;
  const prepared = await prepare(options, { client, namespace, now: clock.now() }, AbortSignal.any([stop, AbortSignal.timeout(READ_MS)]));
  if (!prepared.ok) return refused(prepared, log);
  const { metadata } = prepared.wave;
  const wave = { namespace: metadata.namespace ?? '', name: metadata.name ?? '', uid: metadata.uid ?? '' };
  const credentials = createCredentials({ client, clock, namespace, wave, options });
  const identity = `${hostname()}_${randomUUID()}`;
  const election = createElection({ ...world, name: `hedgerow-rollout-${wave.uid}-${options.shard}`, identity });
  if (!(await election.lead(stop))) return EXIT.again;
  const inner = new AbortController();
  const holding = election.hold(inner.signal);
  try {
    const signing = await asked(credentials.signing(stop), log);
    if (signing === undefined) return EXIT.again;
    const fence = await takeFence({ site: wave.namespace, component: prepared.wave.spec.component, identity }, world, stop);
    log.info({ wave, shard: options.shard, fence, action: prepared.wave.spec.action }, 'the driver starts');
    const ending = await atWork({ options, world, prepared, credentials, signing, fence, election }, stop);
    const isSuperseded = ending === 'Superseded' || ending === 'LeaseLost';
    log.info({ ending, ...(isSuperseded ? { problem: explain({ code: 'HR-FW-312' }) } : {}) }, 'the driver ends');
    return OF_ENDING[ending];
  } finally {
    inner.abort();
    await holding;
    await closed(credentials, election);
  }
}

type Parts = {
  options: RolloutOptions;
  world: World;
  prepared: Prepared;
  credentials: Credentials;
  signing: Signing;
  fence: number;
  election: Election;
};

async function atWork({ options, world, prepared, credentials, signing, fence, election }: Parts, stop: AbortSignal): Promise<Ending> {
  const { client, clock, random, log, metrics } = world;
  const { plan, wave: object } = prepared;
  const shared = { client, clock, random, log, metrics };
  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  let now = signing;
  const devices = createDevices({ ...shared, site: plan.site, component: plan.wave.component });
  const wave = createWave({ ...shared, wave: object });
  const mqtt = createMqtt({
    ...shared,
    host: options.host,
    port: options.port,
    credentials: (until) => mqttCredentials(options, credentials, until),
  });
  const core = new Core(
    { ...plan, fence },
    {
      nonce: () => randomBytes(16).toString('hex'),
      readDirective: (device, bytes) => (now.ca === undefined ? undefined : readDirective(device, bytes, { ca: now.ca, site: plan.site })),
    },
  );
  const background = [devices.reflector.run(signal), wave.reflector.run(signal)];
  const ending = drive(
    {
      ...{ core, mqtt, devices, wave, clock, log, shard: options.shard, shards: plan.wave.shards, fence },
      lease: { held: () => election.isHeld() },
      metrics: createDriverMetrics(metrics.registry),
      sign(order) {
        const signed = signDirective(order.directive, now.signer);
        if (!signed.ok)
          log.error({ device: order.directive.aud, problem: explainFirmware(signed.problem) }, 'a directive could not be signed');
        return signed.ok ? signed.bytes : undefined;
      },
    },
    stop,
  );
  try {
    // Rows first: what the broker keeps finds its device.
    const synced = await Promise.race([devices.whenSynced(signal), ending]);
    if (synced === undefined) background.push(mqtt.run(signal), renewing());
    return await ending;
  } finally {
    ended.abort();
    await mqtt.close();
    await Promise.allSettled(background);
  }

  /** New keys long before the old ones end: a new epoch for the devices, a new connection for the broker. */
  async function renewing(): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(Math.max(1000, Math.min(3600_000, credentials.renewAt() - clock.now())), signal).catch(() => undefined);
      if (signal.aborted || clock.now() < credentials.renewAt()) continue;
      const made = await asked(credentials.signing(signal), log);
      if (made !== undefined) now = made;
      if ((await asked(credentials.certificate(signal), log)) !== undefined) mqtt.renew();
    }
  }
}

async function mqttCredentials(options: RolloutOptions, credentials: Credentials, signal: AbortSignal) {
  const { certificate, key, clientId } = await credentials.certificate(signal);
  return { ca: options.caFile === undefined ? undefined : await readFile(options.caFile, 'utf8'), certificate, key, clientId };
}

/** Undefined, and said in the log, where it was not issued. */
async function asked<T>(wanted: Promise<T>, log: Log): Promise<T | undefined> {
  try {
    return await wanted;
  } catch (error) {
    const problem: Problem = { code: 'HR-FW-310', found: error instanceof Error ? error.message : String(error) };
    log.error({ code: problem.code, problem: explain(problem) }, 'the driver has no certificate');
    return undefined;
  }
}

function refused({ how, problem }: Refusal, log: Log): number {
  const said = { code: problem.code, problem: explain(problem) };
  if (how === 'Over') log.info(said, 'there is nothing to do');
  else log.error(said, 'the driver does not begin');
  return OF_REFUSAL[how];
}

async function closed(credentials: Credentials, election: Election): Promise<void> {
  const signal = AbortSignal.timeout(CLOSING_MS);
  const over = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.race([Promise.allSettled([credentials.remove(signal), election.release()]), over]);
}
