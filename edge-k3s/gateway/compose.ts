// Which parts the gateway has, and who hears of what: what is inside the journal (inside.ts), what counts beside it, what brings messages in, and what runs on its own.
import type { GatewayConfig } from '../../operator/api/gateway-config.ts';
import type { KubeClient } from '../../operator/kube/client.ts';
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';
import type { Manager } from '../../operator/runtime/manager.ts';
import type { Metrics } from '../../operator/runtime/metrics.ts';
import type { Random } from '../../operator/runtime/random.ts';
import { untilAborted } from '../../operator/runtime/until-aborted.ts';
import { writeAsks } from './ask/writer.ts';
import { serveCoap } from './coap/listen.ts';
import { tick } from './core/tick.ts';
import { createHealth, type Health } from './egress/health.ts';
import { createKeeper, type Keeper } from './egress/keeper.ts';
import { createIntake, type Intake } from './ingest/intake.ts';
import { createListener, type Listener } from './ingest/listener.ts';
import { createRoutes } from './ingest/routes.ts';
import { type Inside, openInside, reconfigured } from './inside.ts';
import { questionFilter } from './latest/answer.ts';
import { createSecurity, type Security } from './meter/security.ts';
import { createGatewayMetrics } from './metrics.ts';
import type { GatewayOptions } from './options.ts';
import { type ConfigRead, followConfig } from './site/config-file.ts';
import type { Devices } from './site/devices.ts';
import { followIdentity, type Identity, readIdentity } from './site/identity.ts';
import { createBirths } from './sparkplug/births.ts';
import { createRebirth } from './sparkplug/rebirth.ts';
import { type Link, linkToCloud } from './uplink/link.ts';

export type Parts = { manager: Manager; clock: Clock; random: Random; log: Log; metrics: Metrics };
/** `client`: none where the devices come from a file. */
export type Known = { devices: Devices; client: KubeClient | undefined };
export type Running = { listener: Listener; devicesChanged(): void };
/** Closed in the reverse order. */
export type Closing = (() => Promise<void>)[];

/** What is asked and told as long as the gateway runs. */
type Whole = {
  inside: Inside;
  counts: ReturnType<typeof createGatewayMetrics>;
  security: Security;
  health: Health;
  /** Set as soon as there is one. */
  uplink: { link: Link | undefined };
  keeper: Keeper;
  intake: Intake;
  listener: Listener;
  /** Throws `Refused` where it is not taken. */
  configure(config: GatewayConfig): Promise<void>;
  devicesChanged(): void;
};

export async function compose(options: GatewayOptions, first: ConfigRead, known: Known, parts: Parts, open: Closing): Promise<Running> {
  const { broker } = options;
  const { clock, log, manager } = parts;
  let identity = await readIdentity(broker);
  const whole = await connected(options, first, known.devices, () => identity, parts, open);
  const renew = (next: Identity): void => {
    identity = next;
    whole.listener.reconnect('another certificate');
  };
  const followed = { first, take: whole.configure, clock, log };
  manager.always({ name: 'identity', run: (signal) => followIdentity(broker, identity, renew, { clock, log, signal }) });
  manager.always({ name: 'configuration', run: (stop) => followConfig(options.configFile, followed, stop) });
  await runBeside(options, first.config.site, known.client, whole, parts);
  runMouths(options, whole, parts);
  return whole;
}

async function connected(
  options: GatewayOptions,
  { config: first }: ConfigRead,
  devices: Devices,
  identity: () => Identity,
  parts: Parts,
  open: Closing,
): Promise<Whole> {
  const { clock, random, log } = parts;
  const counts = createGatewayMetrics(parts.metrics);
  // Rules of the journal may speak before there is a connection: they try again.
  let mouth: Listener | undefined;
  const publish: Listener['publish'] = async (message) => await mouth?.publish(message);
  const uplink: Whole['uplink'] = { link: undefined };
  const spooled = (): void => uplink.link?.wake();
  const inside = await openInside(options, first, { ...parts, devices, counts, identity, publish, spooled }, open);
  const { core, egress, state } = inside;
  const { residents, outbox, spool } = egress;
  const security = createSecurity({ config: first, devices: residents.devices, put: outbox.put, clock });
  const births = createBirths();
  const rebirth = createRebirth({ publish, clock, log });
  const forget = (device: string): void => {
    core.forget(device);
    security.forget(device);
    births.forget(device);
  };
  egress.attach({ core: { forget }, state });
  const health = healthOf(options, inside, uplink, parts);
  const routes = createRoutes(residents.devices, first);
  const intake = createIntake({
    ...{ routes, births, core, clock, append: inside.append },
    seen(device, segment, what, nowMs) {
      counts.seen(what.kind === 'message' ? 'accepted' : what.code, what.bytes);
      security.count(device, segment, what, nowMs);
      if (what.kind === 'message') health.heard(device);
      else health.refused();
      if (what.kind === 'refused' && what.code === 'HR-GW-803') rebirth.ask(device, segment);
    },
  });
  const { segment, name } = identity();
  const listener = createListener({
    ...{ broker: options.broker, identity, intake, config: () => core.config, clock, random, log, connected: security.resumed },
    beside: { filter: questionFilter(segment, name), offer: inside.local.question },
  });
  mouth = listener;
  const keeper = createKeeper({ residents, spool, config: () => core.config, changed: () => routes.devicesChanged(), clock, log });
  counts.read({
    isConnected: () => listener.isConnected(),
    series: () => inside.detectors.series,
    devices: () => inside.tracks.devices,
    asks: () => security.standing(clock.now()).length,
    certificateEndsMs: () => identity().notAfterMs,
  });
  const devicesChanged = (): void => {
    routes.devicesChanged();
    keeper.look();
  };
  function configure(config: GatewayConfig): Promise<void> {
    routes.configure(config);
    const done = reconfigured(inside, config);
    security.configure(config);
    listener.configured();
    // Another policy may let names of devices out.
    devicesChanged();
    return done;
  }
  return { inside, counts, security, health, uplink, keeper, intake, listener, configure, devicesChanged };
}

function healthOf({ spoolBytes }: GatewayOptions, { egress }: Inside, uplink: Whole['uplink'], { clock }: Parts): Health {
  const { residents, groups, spool, outbox } = egress;
  return createHealth({
    ...{ out: outbox.put, clock },
    read: () => ({
      ...{ devices: [...residents.devices.all()].length, suppressed: groups.suppressed },
      ...{ spoolBytes: spool.bytes(), spoolMaxBytes: spoolBytes, certificateEndsMs: uplink.link?.endsMs() },
    }),
  });
}

/** What needs no message to be at work. */
async function runBeside(
  options: GatewayOptions,
  site: string,
  client: Known['client'],
  { inside, counts, security, health, keeper, uplink }: Whole,
  parts: Parts,
): Promise<void> {
  const { manager, clock, log } = parts;
  const { egress, core } = inside;
  manager.always({ name: 'residents', run: keeper.follow });
  manager.always({ name: 'retention', run: keeper.retain });
  manager.always({ name: 'spool', run: (stop) => Promise.race([untilAborted(stop), egress.outbox.failed]) });
  if (options.uplink !== undefined) uplink.link = await linkToCloud(options.uplink, egress, counts, parts);
  manager.always({ name: 'health', run: health.run });
  const ticking = { core, append: inside.append, snapshot: inside.state.snapshot, isPressed: egress.spool.isPressed, clock };
  manager.always({ name: 'time', run: (stop) => tick(ticking, stop) });
  manager.always({ name: 'security', run: (stop) => security.run(stop) });
  if (client === undefined) return;
  manager.always({ name: 'asks', run: (stop) => writeAsks({ site, client, standing: security.standing, clock, log }, stop) });
}

/** Where messages come in, once those who are there were taken in: before that everybody would be a stranger. */
function runMouths({ coap }: GatewayOptions, { inside, intake, listener, keeper }: Whole, { manager, clock, log }: Parts): void {
  const { devices } = inside.egress.residents;
  const mouth = (name: string, listen: (signal: AbortSignal) => Promise<void>): void =>
    manager.always({
      name,
      async run(signal) {
        await Promise.race([keeper.ready, untilAborted(signal)]);
        await Promise.race([listen(signal), intake.failed]);
      },
    });
  mouth('telemetry', (signal) => listener.run(signal));
  if (coap !== undefined) mouth('CoAP', (signal) => serveCoap({ place: coap, intake, devices, clock, log }, signal));
}
