// The Device controller: observe the four rooms, act through them, and write one status. Read `reconcile` from top to bottom.
import type { Device, DeviceStatus } from '../api/device.ts';
import { deviceName, segmentName } from '../api/names.ts';
import { apiVersionOf, DEVICES } from '../api/resources.ts';
import type { Authorization, DesiredBroker, Incident, SegmentRights } from '../broker/broker.ts';
import {
  type DeviceFacts,
  type Identity,
  type IdentityResult,
  deviceIndexes as identityIndexes,
  type LedgerEntry,
  type Rotation,
} from '../identity/identity.ts';
import type { Effective } from '../interventions/interventions.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, keyOfRef, refOf } from '../kube/object.ts';
import type { Change, Indexes, Store } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { findCondition } from '../runtime/conditions.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import { createExpectations } from '../runtime/expectations.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import { writeStatus } from '../runtime/status.ts';
import { certificatesInUse, isNewer, isValid, newestOf } from './certificates.ts';
import { type BrokerDevice, certificateHolders, desiredBroker, judgeConnection } from './desired.ts';
import { createFarewell as farewell } from './farewell.ts';
import { bootKeyInvalid } from './firmware.ts';
import { createIncidents } from './incidents.ts';
import { createLeftovers as leftovers } from './leftovers.ts';
import { moveOf } from './move.ts';
import { newsOf } from './news.ts';
import { type Lists, listed } from './revocation.ts';
import { rotationStatus } from './rotation.ts';
import { shutIn } from './shut.ts';
import { type Lifecycle, type SummaryInput, summarise } from './summary.ts';
import type { Sight, Watched } from './touch.ts';
import { type TouchWatch, createTouchWatch as touchWatch } from './touch-watch.ts';
import { keyOfWireName as keyOf } from './wire-name.ts';

export const keyOfWireName = keyOf;
/** The memory of who is away, what is told of Devices that are gone, and what they left at the broker: to be run while this process leads. */
export const createTouchWatch = touchWatch;
export const createFarewell = farewell;
export const createLeftovers = leftovers;

/** What the cache keeps of a Device. */
export type DeviceView = DeviceFacts & {
  segment: string;
  lifecycle: Lifecycle;
  generation: number;
  status: DeviceStatus | undefined;
  /** What is wrong with spec.firmware.bootKey. */
  bootKeyInvalid: string | undefined;
};

export type DevicesDeps = {
  client: KubeClient;
  store: Store<DeviceView>;
  identity: Pick<Identity, 'ensure' | 'ledger'>;
  segments: {
    membership(device: { name: string; namespace: string; segment: string }): { segmented: SummaryInput['segmented'] };
    rights(): SegmentRights[];
  };
  interventions: {
    effective(namespace: string, device: string, spec: Lifecycle): Effective;
    rotation(namespace: string, device: string): Rotation | undefined;
    devicesIn(namespace: string): string[];
  };
  broker: {
    wake(reason: string, urgent?: boolean, client?: string): void;
    authorization(client: string, segment: string): Authorization;
    banned(client: string): boolean;
    overridden(client: string): boolean;
    ownRules(client: string): { held: boolean; durable: boolean; connectedWith: string | undefined };
    bannedCertificate(md5: string): boolean;
    inUse(client: string): string | undefined;
  };
  /** Absent where no CRL is configured. */
  lists?: Lists;
  limits: { verdict(client: string): SummaryInput['limits'] };
  touch: Pick<TouchWatch, 'look' | 'touch' | 'lastSeen'>;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

export type Devices = {
  controller: Controller;
  changed(change: Change<DeviceView>): void;
  /** The broker was looked at: who was there. */
  looked(clients: ReadonlyMap<string, Sight>): void;
  /** What an Intervention or its manifest has made of a Device by now; undefined when there is none. */
  lifecycle(device: Key): Lifecycle | undefined;
  /** Names of the Devices of a namespace that are not Active, in one order. Throws before the Interventions were read. */
  shutIn(namespace: string): string[];
  /** Throws while the ledger was not read completely: what it does not know it would let back in. */
  desired(): DesiredBroker;
  /** `<device>.<namespace>` of each that could connect by a certificate it holds, apart those that are OutOfTouch. Throws as `desired`. */
  holders(): { inTouch: string[]; outOfTouch: string[] };
  /** What the broker saw; resolves when the ledger has what follows from it. */
  incident(incident: Incident): Promise<void>;
};

/** Certificate requests in flight: enough to keep cert-manager busy (about 60 a second on two cores, 0.3 s each), few enough that one device does not wait for 500. */
const CONCURRENCY = 24;
/** A wait that is over within this time leaves no trace in the status: one write per device, not two (promise 10). */
const QUIET_MS = 10_000;

/** Of the store of Devices: what identity asks for, and the members of a segment, `<namespace>/<segment>`. */
export const deviceIndexes: Indexes<DeviceView> = {
  ...identityIndexes,
  segment: (device) => [keyOfRef({ namespace: device.namespace, name: device.segment })],
  shut: (device) => (device.lifecycle === 'Active' ? [] : [device.namespace]),
};

/** What the cache keeps of a Device, from the object and identity's facts about it. */
export function deviceView(facts: DeviceFacts, device: Device): DeviceView {
  return {
    ...facts,
    segment: device.spec.segment,
    lifecycle: device.spec.lifecycle ?? 'Active',
    generation: device.metadata.generation ?? 0,
    status: device.status,
    bootKeyInvalid: bootKeyInvalid(device.spec),
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
    noticeLifecycle(key, device, effective.lifecycle);
    const by = effective.by === undefined ? {} : { by: effective.by };
    const rotation = deps.interventions.rotation(device.namespace, device.name);
    const wireName = deviceName(device.name, device.namespace);
    const { connectedWith } = deps.broker.ownRules(wireName);
    const use = connectedWith === undefined ? {} : { connectedWith };
    const identity = await deps.identity.ensure(device, effective.lifecycle, { signal: ctx.signal, ...by, ...use, rotation });

    const authorization = deps.broker.authorization(wireName, segmentName(device.segment, device.namespace));
    const now = clock.now();
    const shown = certificatesShow(device, wireName, rotation, now);
    lookAgain(key, now, [identity.renewal?.overdueAt, shown.certificates.changesAt]);
    const status = summarise({
      generation: device.generation,
      status: device.status,
      effective,
      identity,
      segmented: deps.segments.membership(device).segmented,
      authorization,
      moving: moveOf({
        ...brokerDevice(device, effective),
        enrollment: device.enrollment,
        entries: deps.identity.ledger.byDevice(wireName),
        ownRules: deps.broker.ownRules(wireName),
        banned: deps.broker.bannedCertificate,
        confirmed: authorization.state === 'ok',
        before: device.status,
        now: new Date(now).toISOString(),
      }),
      ...shown,
      bannedAtBroker: deps.broker.banned(wireName),
      overriddenAtBroker: deps.broker.overridden(wireName),
      ...listsSay(device, effective.lifecycle, identity),
      limits: deps.limits.verdict(wireName),
      bootKeyInvalid: device.bootKeyInvalid,
      touch: hasToBeInTouch(device, effective) ? { is: deps.touch.touch(wireName), lastSeen: deps.touch.lastSeen(wireName) } : undefined,
      now: new Date(now).toISOString(),
    });
    const quietMs = staysQuietFor(key, device, effective, identity, authorization);
    if (quietMs > 0) return identity.outcome.kind === 'waiting' ? identity.outcome : waitingForBroker(quietMs);
    const target = { ref: refOf(key), uid: device.uid, status: device.status, resourceVersion: device.resourceVersion };
    const outcome = await writeStatus(deps.client, DEVICES, target, status, { expectations, signal: ctx.signal });
    if (outcome === 'written') announce(device, status, effective);
    if (outcome !== 'gone') await identity.cleanup?.();
    return identity.outcome;
  }

  function certificatesShow(device: DeviceView, wireName: string, rotation: Rotation | undefined, now: number) {
    const entries = deps.identity.ledger.byDevice(wireName).filter((entry) => entry.deviceUid === device.uid);
    const { conditions, rotation: before } = device.status ?? {};
    return {
      certificates: certificatesInUse({ entries, inUse: deps.broker.inUse(wireName), before: conditions, now }),
      rotation: rotationStatus({ rotation, entries, banned: deps.broker.bannedCertificate, before, now }),
    };
  }

  function listsSay(device: DeviceView, lifecycle: Lifecycle, found: IdentityResult): Pick<SummaryInput, 'listed' | 'crl'> {
    const { lists } = deps;
    const issuer = (found.identity ?? device.status?.identity)?.issuer;
    if (lists === undefined || issuer === undefined) return { listed: 'off', crl: undefined };
    const entries = lifecycle === 'Revoked' ? deps.identity.ledger.byDevice(deviceName(device.name, device.namespace)) : [];
    return {
      listed: listed(entries, device.uid, lists, clock.now()),
      crl: lists.known(issuer) ? lists.problem(issuer, device.offlineBudgetMs) : 'unknown',
    };
  }

  /** ms that a short wait may still go unmentioned; 0 when the status is to be written. */
  function staysQuietFor(
    key: Key,
    device: DeviceView,
    effective: Effective,
    identity: IdentityResult,
    authorization: Authorization,
  ): number {
    const waits = identity.outcome.kind === 'waiting' || (authorization.state === 'pending' && identity.outcome.kind !== 'stalled');
    if (!waits) {
      waitingSince.delete(key);
      return 0;
    }
    // A new certificate, a stricter lifecycle: somebody waits for it.
    const isNews = identity.certificate !== device.certificate || effective.lifecycle !== shownLifecycle(device.status);
    if (isNews) return 0;
    // Its waiting begins when its turn has come; whoever put 500 Devices up at once need not read that of each.
    if (identity.queued === true) return QUIET_MS;
    const since = waitingSince.get(key) ?? clock.elapsed();
    waitingSince.set(key, since);
    return Math.max(0, QUIET_MS - (clock.elapsed() - since));
  }

  function announce(device: DeviceView, status: DeviceStatus, effective: Effective): void {
    const { name, namespace, uid } = device;
    const regarding = { apiVersion: apiVersionOf(DEVICES), kind: DEVICES.kind, name, namespace, uid };
    for (const news of newsOf(device.status?.conditions, status.conditions)) {
      // What an Intervention did, its own room tells.
      if (effective.by === undefined || (news.action !== 'Revoke' && news.action !== 'Quarantine')) deps.recorder.event(regarding, news);
    }
  }

  /** What changes with time alone, whatever the outcome says: a renewal becomes overdue, a grace ends. */
  function lookAgain(key: Key, now: number, times: readonly (number | undefined)[]): void {
    const ahead = times.filter((at) => at !== undefined && at > now) as number[];
    if (ahead.length > 0) controller.queue.add(key, { band: 'background', afterMs: Math.min(...ahead) - now });
  }

  function noticeLifecycle(key: Key, device: DeviceView, lifecycle: Lifecycle): void {
    const before = lastLifecycle.get(key) ?? 'Active';
    if (before === lifecycle) return;
    lastLifecycle.set(key, lifecycle);
    deps.broker.wake(`${key} is ${lifecycle}`, true, deviceName(device.name, device.namespace));
  }

  const { log, metrics } = deps;
  const controller = createController({ name: 'device', concurrency: CONCURRENCY, reconcile, clock, log, metrics });

  const { ledger } = deps.identity;
  const wake = (key: Key): void => controller.queue.add(key);

  return {
    controller,
    incident: createIncidents({ store, ledger, recorder: deps.recorder, wake, clock, log }),
    changed(change) {
      controller.queue.add(change.key, { band: change.initial ? 'background' : 'user' });
      if (concernsBroker(change)) deps.broker.wake(`${change.key} changed`);
    },
    looked(clients) {
      for (const name of deps.touch.look(clients, watchedDevices(store, effectiveOf)))
        controller.queue.add(keyOfWireName(name), { band: 'background' });
    },
    holders() {
      const names = certificateHolders(brokerDevices(store, effectiveOf), readLedger(deps.identity.ledger), clock.now());
      const isOut = (name: string): boolean => deps.touch.touch(name) === 'out';
      return { inTouch: names.filter((name) => !isOut(name)), outOfTouch: names.filter(isOut) };
    },
    lifecycle: (key) => {
      const device = store.get(key);
      return device === undefined ? undefined : effectiveOf(device).lifecycle;
    },
    shutIn: (namespace) => shutIn(namespace, store, deps.interventions),
    desired: () => ({
      ...desiredBroker({
        devices: brokerDevices(store, effectiveOf),
        entries: readLedger(deps.identity.ledger),
        rights: deps.segments.rights(),
        now: clock.now(),
      }),
      judge: (client, md5) => {
        const entry = deps.identity.ledger.byMd5(md5);
        const device = entry === undefined ? undefined : store.get(keyOfWireName(entry.device));
        return judgeConnection(client, entry, device === undefined ? undefined : brokerDevice(device, effectiveOf(device)));
      },
      segmentOf: (client) => {
        const device = store.get(keyOfWireName(client));
        return device === undefined ? undefined : segmentName(device.segment, device.namespace);
      },
      isSuperseded: (client, md5) => {
        const used = ledger.byMd5(md5);
        const valid = ledger.byDevice(client).filter((entry) => entry.deviceUid === used?.deviceUid && isValid(entry, clock.now()));
        const newest = newestOf(valid);
        return used !== undefined && newest !== undefined && isNewer(newest, used);
      },
    }),
  };
}

function* watchedDevices(store: Store<DeviceView>, effectiveOf: (device: DeviceView) => Effective): Iterable<Watched> {
  for (const device of store.values()) {
    if (device.offlineBudgetMs === 0 || !hasToBeInTouch(device, effectiveOf(device))) continue;
    const saysOut = findCondition(device.status?.conditions, 'OutOfTouch') !== undefined;
    yield { name: deviceName(device.name, device.namespace), budgetMs: device.offlineBudgetMs, saysOut };
  }
}

const hasToBeInTouch = (device: DeviceView, { lifecycle }: Effective): boolean =>
  device.offlineBudgetMs > 0 && lifecycle !== 'Revoked' && device.status?.identity?.serialNumber !== undefined;

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

function readLedger(ledger: Identity['ledger']): Iterable<LedgerEntry> {
  if (!ledger.synced) throw new Error(ledger.problem ?? 'the certificate ledger was not read from the API server yet');
  return ledger.all();
}

/** Our own status writes come back as changes and change nothing at the broker. */
function concernsBroker({ before, after }: Change<DeviceView>): boolean {
  return before?.uid !== after?.uid || before?.segment !== after?.segment || before?.lifecycle !== after?.lifecycle;
}

function shownLifecycle(status: DeviceStatus | undefined): Lifecycle {
  if (findCondition(status?.conditions, 'Revoked') !== undefined) return 'Revoked';
  return findCondition(status?.conditions, 'Quarantined') === undefined ? 'Active' : 'Quarantined';
}

function waitingForBroker(afterMs: number): Outcome {
  return { kind: 'waiting', afterMs, reason: 'BrokerPending', message: 'waiting until the broker has confirmed the rights' };
}
