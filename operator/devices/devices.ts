// The Device controller: observe the four rooms, act through them, and write one status. Read `reconcile` from top to bottom.
import type { Device, DeviceStatus } from '../api/device.ts';
import { segmentName } from '../api/names.ts';
import { DEVICES } from '../api/resources.ts';
import type { Authorization, DesiredBroker, SegmentRights } from '../broker/broker.ts';
import type { DeviceFacts, Identity } from '../identity/identity.ts';
import type { Effective } from '../interventions/interventions.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, refOf } from '../kube/object.ts';
import type { Change, Store } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import { createExpectations } from '../runtime/expectations.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import { writeStatus } from '../runtime/status.ts';
import { type BrokerDevice, desiredBroker, judgeConnection } from './desired.ts';
import { type Lifecycle, type SummaryInput, summarise } from './summary.ts';

/** What the cache keeps of a Device. */
export type DeviceView = DeviceFacts & {
  segment: string;
  lifecycle: Lifecycle;
  generation: number;
  status: DeviceStatus | undefined;
};

export type DevicesDeps = {
  client: KubeClient;
  store: Store<DeviceView>;
  identity: Pick<Identity, 'ensure' | 'retireOrphans' | 'ledger'>;
  segments: {
    membership(device: { name: string; namespace: string; segment: string }): { segmented: SummaryInput['segmented'] };
    rights(): SegmentRights[];
  };
  interventions: { effective(namespace: string, device: string, spec: Lifecycle): Effective };
  broker: {
    wake(reason: string, urgent?: boolean): void;
    authorization(client: string, segment: string): Authorization;
    banned(client: string): boolean;
  };
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

export type Devices = {
  controller: Controller;
  /** Revokes what has no Device any more; one key, so that it runs once at a time. */
  orphans: Controller;
  changed(change: Change<DeviceView>): void;
  desired(): DesiredBroker;
};

/** Certificate requests in flight: enough to keep cert-manager busy (about 60 a second on two cores, 0.3 s each), few enough that one device does not wait for 500. */
const CONCURRENCY = 24;
/** A wait that is over within this time leaves no trace in the status: one write per device, not two (promise 10). */
const QUIET_MS = 10_000;
const ORPHAN_SWEEP_MS = 60_000;
const ALL = 'all';

/** What the cache keeps of a Device, from the object and identity's facts about it. */
export function deviceView(facts: DeviceFacts, device: Device): DeviceView {
  return {
    ...facts,
    segment: device.spec.segment,
    lifecycle: device.spec.lifecycle ?? 'Active',
    generation: device.metadata.generation ?? 0,
    status: device.status,
  };
}

export function createDevices(deps: DevicesDeps): Devices {
  const { store, clock } = deps;
  const expectations = createExpectations();
  const waitingSince = new Map<Key, number>();
  const lastLifecycle = new Map<Key, Lifecycle>();

  const effectiveOf = (device: DeviceView): Effective => deps.interventions.effective(device.namespace, device.name, device.lifecycle);

  async function reconcile(key: Key, ctx: ReconcileContext): Promise<Outcome> {
    const device = store.get(key);
    if (device === undefined) {
      waitingSince.delete(key);
      lastLifecycle.delete(key);
      expectations.stale(key, undefined); // forgets it
      return done;
    }
    // The cache has not seen our own last write yet: its event is on the way and will come back here.
    if (expectations.stale(key, device)) return done;

    const effective = effectiveOf(device);
    noticeLifecycle(key, effective.lifecycle);
    const identity = await deps.identity.ensure(device, effective.lifecycle, ctx);
    if (effective.lifecycle === 'Revoked') deps.broker.wake(`${key} is revoked`, true);

    const status = summarise({
      generation: device.generation,
      status: device.status,
      effective,
      identity,
      segmented: deps.segments.membership(device).segmented,
      authorization: deps.broker.authorization(`${device.name}.${device.namespace}`, segmentName(device.segment, device.namespace)),
      bannedAtBroker: deps.broker.banned(`${device.name}.${device.namespace}`),
      now: new Date(clock.now()).toISOString(),
    });
    if (staysQuiet(key, device, identity.outcome)) return identity.outcome;
    const target = { ref: refOf(key), uid: device.uid, status: device.status, resourceVersion: device.resourceVersion };
    const outcome = await writeStatus(deps.client, DEVICES, target, status, { expectations, signal: ctx.signal });
    if (outcome !== 'gone') await identity.cleanup?.();
    return identity.outcome;
  }

  function staysQuiet(key: Key, device: DeviceView, outcome: Outcome): boolean {
    if (outcome.kind !== 'waiting') {
      waitingSince.delete(key);
      return false;
    }
    const since = waitingSince.get(key) ?? clock.elapsed();
    waitingSince.set(key, since);
    return device.status?.conditions === undefined && clock.elapsed() - since < QUIET_MS;
  }

  function noticeLifecycle(key: Key, lifecycle: Lifecycle): void {
    const before = lastLifecycle.get(key) ?? 'Active';
    if (before === lifecycle) return;
    lastLifecycle.set(key, lifecycle);
    deps.broker.wake(`${key} is ${lifecycle}`, true);
  }

  async function sweepOrphans(): Promise<Outcome> {
    const revoked = await deps.identity.retireOrphans();
    if (revoked > 0) deps.broker.wake(`${revoked} certificates of devices that are gone`, true);
    return { kind: 'requeue', afterMs: ORPHAN_SWEEP_MS, reason: 'level-triggered' };
  }

  const { log, metrics } = deps;
  const controller = createController({ name: 'device', concurrency: CONCURRENCY, reconcile, clock, log, metrics });
  const orphans = createController({ name: 'device-retirement', concurrency: 1, reconcile: sweepOrphans, clock, log, metrics });
  orphans.queue.add(ALL);

  return {
    controller,
    orphans,
    changed(change) {
      controller.queue.add(change.key, { band: change.initial ? 'background' : 'user' });
      if (change.before !== undefined && change.before.uid !== change.after?.uid) orphans.queue.add(ALL);
    },
    desired: () => ({
      ...desiredBroker({
        devices: brokerDevices(store, effectiveOf),
        entries: deps.identity.ledger.all(),
        rights: deps.segments.rights(),
        now: clock.now(),
      }),
      judge: (client, md5) => {
        const entry = deps.identity.ledger.byMd5(md5);
        const device = entry === undefined ? undefined : store.get(keyOfWireName(entry.device));
        return judgeConnection(client, entry, device === undefined ? undefined : brokerDevice(device, effectiveOf(device)));
      },
    }),
  };
}

function* brokerDevices(store: Store<DeviceView>, effectiveOf: (device: DeviceView) => Effective): Iterable<BrokerDevice> {
  for (const device of store.values()) yield brokerDevice(device, effectiveOf(device));
}

function brokerDevice(device: DeviceView, effective: Effective): BrokerDevice {
  return {
    name: `${device.name}.${device.namespace}`,
    uid: device.uid,
    segment: segmentName(device.segment, device.namespace),
    lifecycle: effective.lifecycle,
  };
}

function keyOfWireName(name: string): Key {
  const dot = name.indexOf('.');
  return `${name.slice(dot + 1)}/${name.slice(0, dot)}`;
}
