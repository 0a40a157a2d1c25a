// The door of the interventions room: what people do by hand and GitOps must not undo.

import type { DeviceStatus } from '../api/device.ts';
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import type { Intervention } from '../api/intervention.ts';
import type { Condition } from '../api/meta.ts';
import { deviceName } from '../api/names.ts';
import { apiVersionOf, DEVICES, FIRMWARE_RELEASES, INTERVENTIONS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, keyOfRef, refOf } from '../kube/object.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Change } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { findCondition, isTrue } from '../runtime/conditions.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import { createExpectations } from '../runtime/expectations.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import type { Random } from '../runtime/random.ts';
import { writeStatus } from '../runtime/status.ts';
import { type Effective as EffectiveLifecycle, effective, type Lifecycle } from './effective.ts';
import { askedOf, type ReleaseAsked as ReleaseAskedOf } from './release.ts';
import { type Rotation as RotationOf, rotationOf } from './rotation.ts';
import { type Sight, summarise } from './summary.ts';
import { deviceKeyOf, type InterventionView, interventionView, isRotate, releaseKeyOf, standingOf } from './view.ts';

export type Effective = EffectiveLifecycle;
export type Rotation = RotationOf;
export type ReleaseAsked = ReleaseAskedOf;

/** One that is asked for: of the Device `device` of its namespace. */
export type Quarantine = { name: string; namespace: string; device: string; requestedBy: string; createdAt: string };

/** What this room needs to know of a Device. */
export type DeviceOfIntervention = { uid: string; status: DeviceStatus | undefined };

/** What this room needs to know of a FirmwareRelease. */
export type ReleaseOfIntervention = {
  uid: string;
  generation: number;
  spec: { author?: string };
  status: FirmwareReleaseStatus | undefined;
};

/** A reflector, or what behaves like one. */
type Watched<T> = {
  readonly store: { readonly synced: boolean; get(key: Key): T | undefined };
  subscribe(listener: (change: Change<T>) => void): void;
};

export type InterventionsDeps = {
  client: KubeClient;
  devices: Watched<DeviceOfIntervention>;
  releases: Watched<ReleaseOfIntervention>;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export type Interventions = {
  /** What a Device is by now: the stricter of its manifest and the interventions on its name. Throws before they were read: a revoked device must not be Active for a moment. */
  effective(namespace: string, device: string, spec: Lifecycle): Effective;
  /** What the Rotates on its name come to. Throws before they were read: a key that was given up must not be certified in between. */
  rotation(namespace: string, device: string): Rotation | undefined;
  /** What the Interventions on a FirmwareRelease come to. Throws before they were read: what was paused must not go on in between. */
  release(namespace: string, name: string): ReleaseAsked;
  /** Names of Devices of a namespace that an intervention speaks of, whether it still holds or not. */
  devicesIn(namespace: string): string[];
  /** The Quarantine of a Device that has this name; `another`: something else has it. */
  named(namespace: string, name: string): Quarantine | 'another' | undefined;
  /** Quarantines of Devices that this user asked for, whether they still hold or not. */
  quarantinesBy(user: string): Quarantine[];
  /** Called with `<namespace>/<device>` when an intervention on it came, went or ended. */
  onChange(listener: (device: Key) => void): void;
  /** Called with `<namespace>/<release>`, likewise. */
  onReleaseChange(listener: (release: Key) => void): void;
  /** To be filled before anything of this room runs. */
  reflectors: readonly Reflector<InterventionView>[];
  /** To be run while this process leads. */
  controllers: readonly Controller[];
};

const CONCURRENCY = 4;
/** The wall clock may jump while timers do not: an end is looked at this often. */
const LONGEST_WAIT_MS = 600_000;

export function createInterventions(deps: InterventionsDeps): Interventions {
  const { client, clock, random, log, metrics } = deps;
  const expectations = createExpectations();
  const listeners: ((device: Key) => void)[] = [];
  const releaseListeners: ((release: Key) => void)[] = [];
  const reflector = createReflector<Intervention, InterventionView>({
    ...{ client, clock, random, log, metrics },
    type: INTERVENTIONS,
    project: interventionView,
    indexes: {
      device: (view) => [deviceKeyOf(view) ?? ''],
      release: (view) => [releaseKeyOf(view) ?? ''],
      namespace: (view) => [view.namespace],
      quarantinedBy: (view) => (quarantineOf(view) === undefined ? [] : [view.requestedBy]),
    },
    onChange: ({ key, before, after }) => {
      controller.queue.add(key);
      // The spec is immutable: only coming and going concern the target.
      if (before === undefined || after === undefined) wakeTarget(after ?? before);
    },
  });
  const { store } = reflector;

  function viewsOf(namespace: string, device: string): InterventionView[] {
    if (!store.synced) throw new Error('the Interventions were not read from the API server yet');
    return store.by('device', keyOfRef({ namespace, name: device }));
  }

  function wakeTarget(view: InterventionView | undefined): void {
    const device = view === undefined ? undefined : deviceKeyOf(view);
    if (device !== undefined) for (const listener of listeners) listener(device);
    const release = view === undefined ? undefined : releaseKeyOf(view);
    if (release !== undefined) for (const listener of releaseListeners) listener(release);
  }

  async function reconcile(key: Key, ctx: ReconcileContext): Promise<Outcome> {
    const view = store.get(key);
    if (expectations.stale(key, view) || view === undefined) return done;
    const next = summarise(view, sightOf(view), clock.now());

    if (isExpired(next.conditions) && !isExpired(view.status?.conditions)) wakeTarget(view);
    const target = { ref: refOf(key), uid: view.uid, status: view.status, resourceVersion: view.resourceVersion };
    await writeStatus(client, INTERVENTIONS, target, next, { expectations, signal: ctx.signal });
    if (isTrue(next.conditions, 'Applied') && !isTrue(view.status?.conditions, 'Applied')) announce(view);
    return untilItEnds(view);
  }

  function untilItEnds(view: InterventionView): Outcome {
    const endsAt = endOf(view);
    if (endsAt === undefined || clock.now() >= endsAt) return done;
    return { kind: 'requeue', afterMs: Math.min(LONGEST_WAIT_MS, Math.max(1, endsAt - clock.now())), reason: 'Expiry' };
  }

  function sightOf(view: InterventionView): Sight {
    const release = releaseKeyOf(view);
    if (release !== undefined) return releaseSight(deps.releases.store.get(release));
    const device = deviceKeyOf(view);
    return device === undefined ? undefined : deviceSight(deps.devices.store.get(device));
  }

  /** On the target: who looks at it sees who did it and why. */
  function announce(view: InterventionView): void {
    const { namespace, action } = view;
    const { name } = view.target;
    const isRelease = releaseKeyOf(view) !== undefined;
    const type = isRelease ? FIRMWARE_RELEASES : DEVICES;
    const uid = (isRelease ? deps.releases : deps.devices).store.get(keyOfRef({ namespace, name }))?.uid;
    deps.recorder.event(
      { apiVersion: apiVersionOf(type), kind: type.kind, name, namespace, ...(uid === undefined ? {} : { uid }) },
      {
        type: action === 'Approve' || (action === 'Rotate' && !view.compromised) ? 'Normal' : 'Warning',
        reason: action === 'Rotate' && view.compromised ? 'KeyGivenUp' : (DONE[action] ?? action),
        message: `${isRelease ? name : deviceName(name, namespace)}: ${action} by Intervention ${view.name} of ${view.requestedBy}: ${view.reason}`,
        action,
      },
    );
  }

  deps.devices.subscribe(({ key }) => {
    for (const view of store.by('device', key)) controller.queue.add(view.key);
  });
  deps.releases.subscribe(({ key }) => {
    for (const view of store.by('release', key)) controller.queue.add(view.key);
  });
  const controller = createController({ name: 'intervention', concurrency: CONCURRENCY, reconcile, clock, log, metrics });

  return {
    effective(namespace, device, spec) {
      return effective(
        spec,
        viewsOf(namespace, device).flatMap((view) => standingOf(view) ?? []),
        clock.now(),
      );
    },
    rotation: (namespace, device) => rotationOf(viewsOf(namespace, device).filter(isRotate)),
    release(namespace, name) {
      if (!store.synced) throw new Error('the Interventions were not read from the API server yet');
      return askedOf(store.by('release', keyOfRef({ namespace, name })), clock.now());
    },
    devicesIn: (namespace) =>
      store.by('namespace', namespace).flatMap((view) => (deviceKeyOf(view) === undefined ? [] : [view.target.name])),
    named(namespace, name) {
      const view = store.get(keyOfRef({ namespace, name }));
      return view === undefined ? undefined : (quarantineOf(view) ?? 'another');
    },
    quarantinesBy: (user) => store.by('quarantinedBy', user).flatMap((view) => quarantineOf(view) ?? []),
    onChange: (listener) => void listeners.push(listener),
    onReleaseChange: (listener) => void releaseListeners.push(listener),
    reflectors: [reflector],
    controllers: [controller],
  };
}

function quarantineOf(view: InterventionView): Quarantine | undefined {
  if (view.action !== 'Quarantine' || deviceKeyOf(view) === undefined) return undefined;
  const { name, namespace, target, requestedBy, createdAt } = view;
  return { name, namespace, device: target.name, requestedBy, createdAt };
}

const isExpired = (conditions: readonly Condition[] | undefined): boolean => findCondition(conditions, 'Applied')?.reason === 'Expired';

function deviceSight(device: DeviceOfIntervention | undefined): Sight {
  if (device === undefined) return undefined;
  const { conditions = [], identity, rotation } = device.status ?? {};
  return { kind: 'Device', device: { conditions, revocationSteps: identity?.revocationSteps ?? [], rotation } };
}

function releaseSight(release: ReleaseOfIntervention | undefined): Sight {
  if (release === undefined) return undefined;
  const { generation, spec, status } = release;
  return { kind: 'FirmwareRelease', release: { generation, author: spec.author, status } };
}

/** When it ends by itself, ms; undefined: never. */
function endOf(view: InterventionView): number | undefined {
  const standing = standingOf(view);
  if (standing !== undefined) return standing.action === 'Revoke' ? undefined : standing.expiresAt;
  return view.action === 'Pause' && view.expires !== undefined ? Date.parse(view.expires) : undefined;
}

/** The reason of the Event. */
const DONE: Record<string, string> = {
  Quarantine: 'Quarantined',
  Revoke: 'Revoked',
  Rotate: 'Rotated',
  Pause: 'Paused',
  Approve: 'Approved',
  Abort: 'Aborted',
  Rollback: 'RolledBack',
};
