// The gateway put together: what a site's devices say goes in, and through all stages.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { connect, type KubeClient } from '../../operator/kube/client.ts';
import { findConnection, KubeConfigError } from '../../operator/kube/config.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { environment } from '../../operator/runtime/environment.ts';
import { followFiles } from '../../operator/runtime/follow-files.ts';
import { createHealthServer } from '../../operator/runtime/health.ts';
import { createLog, type Log } from '../../operator/runtime/log.ts';
import { createManager, EXIT, type ExitCode, type Manager } from '../../operator/runtime/manager.ts';
import { createMetrics } from '../../operator/runtime/metrics.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { writeAsks } from './ask/writer.ts';
import { serveCoap } from './coap/listen.ts';
import { type Core, createCore } from './core/core.ts';
import { createDetectors } from './core/detectors.ts';
import type { Accepted } from './core/event.ts';
import { openEgress } from './egress/egress.ts';
import { createHealth } from './egress/health.ts';
import { createKeeper } from './egress/keeper.ts';
import { createRaw } from './egress/raw.ts';
import { Refused } from './errors.ts';
import { createIntake, type Intake } from './ingest/intake.ts';
import { createListener, type Listener } from './ingest/listener.ts';
import { createRoutes, type Routes } from './ingest/routes.ts';
import { questionFilter } from './latest/answer.ts';
import { createLocal, type Local } from './local/local.ts';
import { createSecurity, type Security } from './meter/security.ts';
import { createGatewayMetrics } from './metrics.ts';
import type { GatewayOptions } from './options.ts';
import { createTracks } from './replay/tracks.ts';
import { type ConfigRead, readConfigFile } from './site/config-file.ts';
import { type Devices, watchDevices } from './site/devices.ts';
import { openDevicesFile } from './site/devices-file.ts';
import { followIdentity, readIdentity } from './site/identity.ts';
import { openDirectory } from './spool/disk.ts';
import { openState, type State } from './state/state.ts';
import { type Link, linkToCloud } from './uplink/link.ts';

type Base = { clock: typeof systemClock; random: typeof systemRandom; log: Log; metrics: ReturnType<typeof createMetrics> };
type Parts = Base & { manager: Manager };
type Running = {
  core: Core;
  state: State;
  local: Local;
  routes: Routes;
  intake: Intake;
  listener: Listener;
  security: Security;
  devicesChanged(): void;
};

/** `client`: none where the devices come from a file. */
type Known = { devices: Devices; client: KubeClient | undefined };

const TICK_MS = 1_000;
/** Sooner than a trend may be merged in the spool (LATENESS_MS and CORRECTION_MS): what the journal would give out again is there as it was. */
const SNAPSHOT_EVERY_MS = 240_000;

/** Runs until the signal aborts or a part fails; gives the exit code of the process. Throws `KubeConfigError` where there is no cluster to ask. */
export async function runGateway(options: GatewayOptions, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base: Base = { clock: systemClock, random: systemRandom, log, metrics };
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const manager = createManager({ ...base, health });
  const open: (() => Promise<void>)[] = [];
  try {
    const config = await readConfigFile(options.configFile);
    let changed = (): void => undefined;
    const known = await knownDevices(options.devices, config.config.site, { ...base, manager }, () => changed(), open);
    const running = await compose(options, config, known, { ...base, manager }, open);
    changed = running.devicesChanged;
    health.ready({
      name: 'broker',
      failing: () => (running.listener.isConnected() ? undefined : 'there is no session at the local broker'),
    });
    log.info({ site: config.config.site, segments: config.config.segments.length }, 'the gateway starts');
    return await manager.run(signal);
  } catch (error) {
    if (error instanceof KubeConfigError) throw error;
    if (error instanceof Refused) log.error({ code: error.code, err: error }, 'the start failed');
    else log.error({ err: error }, 'the start failed');
    return EXIT.failed;
  } finally {
    for (const close of open.reverse()) await close();
  }
}

async function knownDevices(
  source: GatewayOptions['devices'],
  site: string,
  { manager, ...base }: Parts,
  onChange: () => void,
  open: (() => Promise<void>)[],
): Promise<Known> {
  if (source.kind === 'file') {
    const devices = await openDevicesFile({ file: source.file, onChange, ...base });
    manager.always({ name: 'devices', run: (stop) => devices.run(stop) });
    return { devices, client: undefined };
  }
  const connection = await findConnection({ kubeconfig: source.kubeconfig, env: environment });
  const client = connect(connection, { ...base, userAgent: 'hedgerow-gateway' });
  open.push(() => client.close());
  const devices = watchDevices(site, { ...base, client }, onChange);
  manager.cache(devices.reflector);
  return { devices, client };
}

async function compose(
  options: GatewayOptions,
  first: ConfigRead,
  { devices, client }: Known,
  { manager, clock, random, log, metrics }: Parts,
  open: (() => Promise<void>)[],
): Promise<Running> {
  const counts = createGatewayMetrics(metrics);
  const tracks = createTracks({ maxDevices: options.maxDevices });
  let uplink: Link | undefined;
  const egress = await openEgress({
    ...{ site: first.config.site, devices, spoolMaxBytes: options.spoolBytes, clock, random },
    disks: {
      spool: await openDirectory(join(options.stateDir, 'spool')),
      residents: await openDirectory(join(options.stateDir, 'residents')),
    },
    policy: (name) => core.config.segments.find((segment) => segment.name === name),
    pseudonym: () => randomBytes(16).toString('hex'),
    count(type, result) {
      counts.left(type, result);
      if (result === 'taken') uplink?.wake();
    },
  });
  open.push(() => egress.close());
  const { groups, alerts, outbox, residents } = egress;
  const detectors = createDetectors(({ alert: { kind, atMs, score }, ...of }) => {
    counts.found(kind);
    alerts.found({ ...of, kind, atMs, ...(score === undefined ? {} : { score }) });
  });
  const routes = createRoutes(residents.devices, first.config);
  const { broker } = options;
  let identity = await readIdentity(broker);
  const local = createLocal({
    ...{ devices: residents.devices, identity: () => identity, maxValues: options.maxValues, clock, log, metrics },
    publish: (message) => listener.publish(message),
    holds: (rule, { device, segment, atMs }) => alerts.found({ kind: 'rule', rule, device, segment, atMs }),
  });
  open.push(() => local.stop());
  const stations = [...local.stations, groups, detectors, alerts, createRaw(outbox.put)];
  const core: Core = createCore({ tracks, stations, config: first.config });
  const state = await openState({
    ...{ disk: await openDirectory(join(options.stateDir, 'state')), clock, parts: core.parts, settled: outbox.settled },
    apply: (event) => void core.offer(event),
  });
  open.push(() => state.close());
  if (state.damaged > 0)
    log.warn({ damaged: state.damaged }, 'the disk gave back something else than was written: what it held of devices is forgotten');
  // All that the journal made is on disk.
  local.written(Promise.resolve());
  const forget = (device: string): void => {
    core.forget(device);
    security.forget(device);
  };
  egress.attach({ core: { forget }, state });
  // What the journal had was done under the configuration that was in force then.
  if (JSON.stringify(core.config) !== JSON.stringify(first.config)) await reconfigure(core, state, first);

  const append = (event: Accepted): Promise<void> => {
    const certain = state.append(event);
    local.written(certain);
    return certain;
  };
  const health = createHealth({
    ...{ out: outbox.put, clock },
    read: () => ({
      ...{ devices: [...residents.devices.all()].length, suppressed: groups.suppressed },
      ...{ spoolBytes: egress.spool.bytes(), spoolMaxBytes: options.spoolBytes, certificateEndsMs: uplink?.endsMs() },
    }),
  });
  const intake = createIntake({
    ...{ routes, core, clock, append },
    seen(device, segment, what, nowMs) {
      counts.seen(what.kind === 'message' ? 'accepted' : what.code, what.bytes);
      security.count(device, segment, what, nowMs);
      if (what.kind === 'message') health.heard(device);
      else health.refused();
    },
  });
  const security = createSecurity({ config: first.config, devices: residents.devices, put: outbox.put, clock });
  const listener = createListener({
    ...{ broker, identity: () => identity, intake, config: () => core.config, clock, random, log },
    connected: security.resumed,
    beside: { filter: questionFilter(identity.segment, identity.name), offer: local.question },
  });
  counts.read({
    isConnected: () => listener.isConnected(),
    series: () => detectors.series,
    devices: () => tracks.devices,
    asks: () => security.standing(clock.now()).length,
    certificateEndsMs: () => identity.notAfterMs,
  });

  const renew = (next: typeof identity): void => {
    identity = next;
    listener.reconnect('another certificate');
  };
  const { spool } = egress;
  const keeper = createKeeper({ residents, spool, config: () => core.config, changed: () => routes.devicesChanged(), clock, log });
  manager.always({ name: 'residents', run: keeper.follow });
  manager.always({ name: 'retention', run: keeper.retain });
  manager.always({ name: 'spool', run: (stop) => Promise.race([untilAborted(stop), outbox.failed]) });
  if (options.uplink !== undefined) uplink = await linkToCloud(options.uplink, egress, counts, { manager, clock, random, log });
  manager.always({ name: 'health', run: health.run });
  const devicesChanged = (): void => {
    routes.devicesChanged();
    keeper.look();
  };
  const running = { core, state, local, routes, intake, listener, security, devicesChanged };
  manager.always({ name: 'identity', run: (stop) => followIdentity(broker, identity, renew, { clock, log, signal: stop }) });
  manager.always({ name: 'configuration', run: (stop) => followConfig(options.configFile, first, running, { clock, log, signal: stop }) });
  manager.always({ name: 'time', run: (stop) => tick(running, clock, stop) });
  manager.always({ name: 'security', run: (stop) => security.run(stop) });
  if (client !== undefined) {
    const { site } = first.config;
    manager.always({ name: 'asks', run: (stop) => writeAsks({ site, client, standing: security.standing, clock, log }, stop) });
  }
  const { coap } = options;
  if (coap !== undefined)
    manager.always({ name: 'CoAP', run: (stop) => serveCoap({ place: coap, intake, devices: residents.devices, clock, log }, stop) });
  const listen = async (stop: AbortSignal): Promise<void> => {
    await Promise.race([keeper.ready, untilAborted(stop)]);
    await Promise.race([listener.run(stop), intake.failed]);
  };
  manager.always({ name: 'telemetry', run: listen });
  return running;
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

async function reconfigure(core: Core, state: State, { config }: ConfigRead): Promise<void> {
  core.configure(config);
  await state.snapshot();
}

async function followConfig(
  file: string,
  first: ConfigRead,
  { core, state, routes, listener, security, devicesChanged }: Running,
  { clock, log, signal }: { clock: typeof systemClock; log: Log; signal: AbortSignal },
): Promise<void> {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const followed = {
    read: () => readConfigFile(file),
    isSame: (one: ConfigRead, other: ConfigRead) => one.text === other.text,
    onNew(next: ConfigRead): void {
      if (next.config.site !== core.config.site) throw new Refused('HR-GW-311', undefined, 'it is of another site');
      routes.configure(next.config);
      reconfigure(core, state, next).catch((error: unknown) => failed.reject(error));
      security.configure(next.config);
      listener.configured();
      // Another policy may let names of devices out.
      devicesChanged();
      log.info({ segments: next.config.segments.length }, 'another configuration is in force');
    },
    onTrouble(error: unknown): void {
      if (!(error instanceof Refused)) throw error;
      log.warn({ code: error.code, problem: error.message }, 'the configuration is not taken; the last good one stays in force');
    },
  };
  await Promise.race([followFiles(first, followed, clock, signal), failed.promise]);
}

/** Time is an event as the others are. */
async function tick({ core, state, local }: Running, clock: typeof systemClock, signal: AbortSignal): Promise<void> {
  const offsetMs = core.elapsedMs - clock.elapsed();
  let snapshotAtMs = clock.elapsed();
  while (!signal.aborted) {
    await clock.sleep(TICK_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    const event = { kind: 'tick', nowMs: clock.now(), elapsedMs: clock.elapsed() + offsetMs } as const;
    core.offer(event);
    const certain = state.append(event);
    local.written(certain);
    await certain;
    if (clock.elapsed() - snapshotAtMs < SNAPSHOT_EVERY_MS) continue;
    snapshotAtMs = clock.elapsed();
    await state.snapshot();
  }
}
