// The operator of one cluster: the rooms, and who tells whom. `--mode standalone`, the only one yet.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Device } from './api/device.ts';
import { DEVICES, SEGMENT_POLICIES } from './api/resources.ts';
import { createBroker, type DesiredBroker } from './broker/broker.ts';
import { watchLists } from './crl/crl.ts';
import {
  createDevices,
  createFarewell,
  createLeftovers,
  createTouchWatch,
  type DeviceView,
  deviceIndexes,
  deviceView,
  keyOfWireName,
} from './devices/devices.ts';
import { type Candidate, candidateOf } from './firmware/firmware.ts';
import { createAuthorities, createIdentity, createRegistration, deviceProjection } from './identity/identity.ts';
import { createInterventions } from './interventions/interventions.ts';
import { connect, type KubeClient } from './kube/client.ts';
import type { KubeConnection } from './kube/config.ts';
import { refOf } from './kube/object.ts';
import { createReflector } from './kube/reflector.ts';
import type { Store } from './kube/store.ts';
import { createLimits, type DeviceOfLimits, type LimitsDeps, watchAsks } from './limits/limits.ts';
import type { Options } from './options.ts';
import { approversOfDrivers, driversOf, inventoryOf, probeOf, withOwnClients } from './own-clients.ts';
import { createNetworkCanaries, createProbeMetrics, type NetworkProbe, type ProbeMetrics } from './probe/probe.ts';
import { createReleaseReflector, createReleases } from './releases/releases.ts';
import { systemClock } from './runtime/clock.ts';
import { findCondition } from './runtime/conditions.ts';
import { createElection } from './runtime/election.ts';
import { createRecorder } from './runtime/events.ts';
import { createHealthServer } from './runtime/health.ts';
import { createLog } from './runtime/log.ts';
import { createManager, type ExitCode, type Manager } from './runtime/manager.ts';
import { createMetrics } from './runtime/metrics.ts';
import { systemRandom } from './runtime/random.ts';
import { createSegments } from './segments/segments.ts';
import { createTrust } from './trust/trust.ts';

/** Runs until the signal aborts, a part fails or the Lease is lost; gives the exit code of the process. */
export async function runStandalone(options: Options, connection: KubeConnection, signal: AbortSignal): Promise<ExitCode> {
  const log = createLog({ level: options.logLevel });
  const metrics = createMetrics({ processMetrics: true });
  const base: Base = { clock: systemClock, random: systemRandom, log, metrics };
  const client = connect(connection, { ...base, userAgent: 'hedgerow-operator' });
  const namespace = options.namespace ?? connection.namespace;
  const instance = `${hostname()}_${randomUUID()}`;
  const health = createHealthServer({ host: options.metricsHost, port: options.metricsPort, registry: metrics.registry, log });
  const election = options.leaderElect
    ? { election: createElection({ ...base, client, namespace, name: options.leaseName, identity: instance }) }
    : {};
  const manager = createManager({ ...base, health, ...election });
  compose(manager, { ...base, client, options, namespace, instance });
  log.info({ server: connection.server, namespace, broker: options.broker.url, instance }, 'the operator starts');
  try {
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
type Parts = Base & { client: KubeClient; options: Options; namespace: string; instance: string };

function compose(manager: Manager, parts: Parts): void {
  const { client, clock, random, log, metrics, options, namespace, instance } = parts;
  const base = { client, clock, random, log, metrics };
  const recorder = createRecorder({ client, controller: 'hedgerow', instance, clock, log, metrics });

  const projection = deviceProjection();
  const deviceReflector = createReflector<Device, DeviceView & { candidate: Candidate }>({
    ...base,
    type: DEVICES,
    project: (device) => ({ ...deviceView(projection(device), device), candidate: candidateOf(device) }),
    indexes: deviceIndexes,
    onChange: (change) => {
      devices.changed(change);
      inventory?.changed(change.key);
      const { before, after } = change;
      if (before?.lifecycle !== after?.lifecycle) segments.shutChanged((after ?? before)?.namespace ?? '');
      // A status concerns no plan at once: who ended in a release stays where the plan had it.
      if (before?.generation !== after?.generation) releases.fleetChanged();
    },
  });
  const { store } = deviceReflector;

  const authorities = createAuthorities({
    ...{ client, namespace, clock, log },
    registry: metrics.registry,
    entries: () => (identity.ledger.synced ? identity.ledger.all() : undefined),
    isInForce: (ca) => !options.broker.manageCas || broker.trustsCa(ca),
  });
  const identity = createIdentity({
    ...base,
    authorities,
    namespace,
    devices: deviceReflector,
    defaultIssuer: options.defaultIssuer,
    acceptedApprovers: options.acceptedApprovers,
    ...(options.estUser === undefined ? {} : { estUser: options.estUser }),
  });
  const registration = createRegistration({
    ...base,
    recorder,
    identity,
    devices: deviceReflector,
    defaultIssuer: options.defaultIssuer,
    estUser: options.estUser,
  });
  const measured = createProbeMetrics(metrics.registry);
  const network = options.networkCanaries === undefined ? undefined : networkOf(options.networkCanaries, parts, measured);
  const segments = createSegments({
    ...base,
    recorder,
    devices: deviceReflector,
    enrollment: (segment) => registration.enrollment(segment),
    shut: (home) => devices.shutIn(home),
    exclusion: (segment) => broker.exclusion(segment),
    ...(options.probe === undefined ? {} : { probe: (segment: string) => probe?.standing(segment) ?? { state: 'pending' } }),
    ...(network === undefined ? {} : { networkProbe: () => network.standing() }),
    broker: { port: options.broker.port, peers: options.broker.peers, events: options.broker.events !== undefined },
  });
  network?.onChange(() => segments.networkSaysElse());
  const drivers = options.rollout === undefined ? undefined : driversOf(options.rollout, parts);
  const releaseReflector = createReleaseReflector(base);
  const interventions = createInterventions({ ...base, recorder, devices: deviceReflector, releases: releaseReflector });
  const releases = createReleases({
    ...base,
    ...{ namespace, recorder, releases: releaseReflector, settings: options.releases },
    candidates: () => Array.from(store.values(), ({ candidate }) => candidate),
    asked: (site, release) => interventions.release(site, release),
    openApprovers: () => approversOfDrivers(options.rollout, namespace, identity),
  });
  const { url, apiKeyFile, caFile, manageCas, events } = options.broker;
  const desired = (): DesiredBroker => {
    const wanted = devices.desired();
    return { ...withOwnClients(wanted, { probe, drivers, inventory }), ...(manageCas ? { trust: authorities.bundle() } : {}) };
  };
  const broker = createBroker({
    url,
    apiKeyFile,
    caFile,
    desired,
    events,
    incident: (one) => devices.incident(one),
    canary: options.probe !== undefined,
    clock,
    random,
    log,
    metrics,
  });
  const probe = options.probe === undefined ? undefined : probeOf(options.probe, parts, { broker, segments, measured });
  const inventory =
    options.probe === undefined
      ? undefined
      : inventoryOf(options.probe, parts, { recorder, devices: { get: (key) => store.get(key), keyOf: keyOfWireName } });
  const { ledger } = identity;
  const lists =
    options.crl === undefined
      ? undefined
      : watchLists({ ...options.crl, entries: () => (ledger.synced ? ledger.all() : undefined), client, clock, random, log, metrics });
  const touch = createTouchWatch({ client, namespace, clock, log, metrics });
  const limits = createLimits({
    ...base,
    recorder,
    interventions,
    devices: watchedByLimits(store, (key) => devices.lifecycle(key)),
    events: broker.events,
    rules: (segment) => segments.useOfBroker(segment),
    wake: (key) => devices.controller.queue.add(key),
  });
  const asks = watchAsks({ ...base, asked: (device, ask) => limits.asked(device, ask) });
  const devices = createDevices({
    ...{ client, store, identity, segments, interventions, broker, limits, touch, recorder, clock, log, metrics },
    ...(lists === undefined ? {} : { lists }),
  });
  const trust =
    options.trust === undefined
      ? []
      : [
          createTrust({ ...base, recorder, namespace, options: options.trust, retained: broker.retained, fleet: devices.holders })
            .controller,
        ];

  // Who tells whom. Everything ends as a key in a queue, or as a wake of the broker room, which looks at everything itself.
  identity.onDeviceWake((key) => devices.controller.queue.add(key));
  identity.onApprovers(() => releases.approversChanged());
  registration.onChange((policy) => segments.enrollmentChanged(policy));
  ledger.onChange(() => broker.wake('the ledger changed'));
  ledger.onChange(() => lists?.wake());
  lists?.onChange((changed) => {
    for (const client of changed.devices) devices.controller.queue.add(keyOfWireName(client));
    if (changed.issuers.size === 0) return;
    for (const { key, status } of store.values())
      if (changed.issuers.has(status?.identity?.issuer ?? '')) devices.controller.queue.add(key, { band: 'background' });
  });
  drivers?.onChange(() => broker.wake('drivers of rollouts came or went'));
  authorities.onChange(() => broker.wake('the CAs of devices changed'));
  interventions.onChange((key) => {
    devices.controller.queue.add(key);
    segments.shutChanged(refOf(key).namespace ?? '');
  });
  interventions.onReleaseChange((key) => releases.wake(key));
  segments.onChange((changed) => {
    broker.wake(`${SEGMENT_POLICIES.plural} changed`);
    for (const segment of changed) for (const { key } of store.by('segment', segment)) devices.controller.queue.add(key);
  });
  broker.onChange((clients) => {
    if (clients === 'all') for (const key of store.keys()) devices.controller.queue.add(key, { band: 'background' });
    else for (const client of clients) devices.controller.queue.add(keyOfWireName(client));
  });

  const farewell = createFarewell({ recorder, broker, clock });
  identity.onRetired((entries) => farewell.retired(entries));
  const leftovers = createLeftovers({
    ...{ retained: broker.retained, broker, rights: () => segments.rights(), clock, log },
    entries: () => (ledger.synced && store.synced ? ledger.all() : undefined),
    isDevice: (name) => store.get(keyOfWireName(name)) !== undefined,
  });
  broker.onExcluded((changed) => segments.brokerSaysElse(changed));
  broker.onLook((clients) => devices.looked(clients));
  broker.onLook((clients) => limits.looked(clients));

  const caches = [deviceReflector, releaseReflector, ...registration.reflectors, ...segments.reflectors, ...interventions.reflectors];
  const more = [...releases.reflectors, ...(lists?.reflectors ?? []), ...(drivers?.reflectors ?? []), asks];
  for (const reflector of [...caches, ...more]) manager.cache(reflector);
  manager.whileLeading({ name: 'events', run: (signal) => recorder.run(signal) });
  manager.whileLeading({ name: 'farewell', run: (signal) => farewell.run(signal) });
  manager.whileLeading({ name: 'leftovers', run: (signal) => leftovers.run(signal) });
  if (inventory !== undefined) manager.whileLeading({ name: 'inventory', run: (signal) => inventory.run(signal) });
  manager.whileLeading({ name: 'touch', run: (signal) => touch.run(signal) });
  if (lists !== undefined) manager.whileLeading({ name: 'lists', run: (signal) => lists.run(signal) });
  manager.whileLeading({ name: 'authorities', run: (signal) => authorities.run(signal) });
  manager.whileLeading({ name: 'identity', run: (signal) => identity.run(signal) });
  const { controllers } = registration;
  const all = [
    devices.controller,
    ...controllers,
    ...segments.controllers,
    ...interventions.controllers,
    limits.controller,
    releases.controller,
    broker.controller,
    ...trust,
  ];
  if (probe !== undefined) all.push(probe.controller);
  if (network !== undefined) all.push(network.controller);
  if (drivers !== undefined) all.push(drivers.controller);
  if (inventory !== undefined) all.push(inventory.controller);
  for (const controller of all) manager.controller(controller);
}

function watchedByLimits(store: Store<DeviceView>, lifecycle: LimitsDeps['devices']['lifecycle']): LimitsDeps['devices'] {
  const seenBy = ({ key, uid, name, namespace, segment, status }: DeviceView): DeviceOfLimits => ({
    ...{ key, uid, name, namespace, segment },
    saysLimitExceeded: findCondition(status?.conditions, 'LimitExceeded') !== undefined,
  });
  return {
    count: () => store.size,
    countOf: (segment) => store.by('segment', segment).length,
    all: () => Array.from(store.values(), seenBy),
    get(key) {
      const device = store.get(key);
      return device === undefined ? undefined : seenBy(device);
    },
    lifecycle,
  };
}

function networkOf(selector: string, { client, namespace, clock, log, metrics }: Parts, measured: ProbeMetrics): NetworkProbe {
  return createNetworkCanaries({ client, namespace, selector, clock, log, metrics, measured });
}
