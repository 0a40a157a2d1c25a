// The door of the interventions room: what people do by hand and GitOps must not undo.

import type { DeviceStatus } from '../api/device.ts';
import type { Intervention } from '../api/intervention.ts';
import type { Condition } from '../api/meta.ts';
import { deviceName } from '../api/names.ts';
import { apiVersionOf, DEVICES, INTERVENTIONS } from '../api/resources.ts';
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
import { type Effective as EffectiveLifecycle, effective, holds, type Lifecycle } from './effective.ts';
import { type Rotation as RotationOf, rotationOf } from './rotation.ts';
import { type DeviceSight, summarise } from './summary.ts';
import { deviceKeyOf, type InterventionView, interventionView, isRotate, standingOf } from './view.ts';

export type Effective = EffectiveLifecycle;
export type Rotation = RotationOf;

/** One that is asked for: of the Device `device` of its namespace. */
export type Quarantine = { name: string; namespace: string; device: string; requestedBy: string; createdAt: string };

/** What this room needs to know of a Device. */
export type DeviceOfIntervention = { uid: string; status: DeviceStatus | undefined };

export type InterventionsDeps = {
  client: KubeClient;
  /** A reflector of Devices, or what behaves like one. */
  devices: {
    readonly store: { readonly synced: boolean; get(key: Key): DeviceOfIntervention | undefined };
    subscribe(listener: (change: Change<DeviceOfIntervention>) => void): void;
  };
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
  /** Names of Devices of a namespace that an intervention speaks of, whether it still holds or not. */
  devicesIn(namespace: string): string[];
  /** The Quarantine of a Device that has this name; `another`: something else has it. */
  named(namespace: string, name: string): Quarantine | 'another' | undefined;
  /** Quarantines of Devices that this user asked for, whether they still hold or not. */
  quarantinesBy(user: string): Quarantine[];
  /** Called with `<namespace>/<device>` when an intervention on it came, went or ended. */
  onChange(listener: (device: Key) => void): void;
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
  const reflector = createReflector<Intervention, InterventionView>({
    ...{ client, clock, random, log, metrics },
    type: INTERVENTIONS,
    project: interventionView,
    indexes: {
      device: (view) => [deviceKeyOf(view) ?? ''],
      namespace: (view) => [view.namespace],
      quarantinedBy: (view) => (quarantineOf(view) === undefined ? [] : [view.requestedBy]),
    },
    onChange: ({ key, before, after }) => {
      controller.queue.add(key);
      // The spec is immutable: only coming and going concern the Device.
      if (before === undefined || after === undefined) wakeDevice(after ?? before);
    },
  });
  const { store } = reflector;

  function viewsOf(namespace: string, device: string): InterventionView[] {
    if (!store.synced) throw new Error('the Interventions were not read from the API server yet');
    return store.by('device', keyOfRef({ namespace, name: device }));
  }

  function wakeDevice(view: InterventionView | undefined): void {
    const device = view === undefined ? undefined : deviceKeyOf(view);
    if (device !== undefined) for (const listener of listeners) listener(device);
  }

  async function reconcile(key: Key, ctx: ReconcileContext): Promise<Outcome> {
    const view = store.get(key);
    if (expectations.stale(key, view) || view === undefined) return done;
    const device = deviceKeyOf(view);
    const sight = sightOf(device === undefined ? undefined : deps.devices.store.get(device));
    const next = summarise(view, sight, clock.now());

    if (isExpired(next.conditions) && !isExpired(view.status?.conditions)) wakeDevice(view);
    const target = { ref: refOf(key), uid: view.uid, status: view.status, resourceVersion: view.resourceVersion };
    await writeStatus(client, INTERVENTIONS, target, next, { expectations, signal: ctx.signal });
    if (isTrue(next.conditions, 'Applied') && !isTrue(view.status?.conditions, 'Applied')) announce(view);
    return untilItEnds(view);
  }

  function untilItEnds(view: InterventionView): Outcome {
    const standing = standingOf(view);
    if (standing?.expiresAt === undefined || !holds(standing, clock.now()) || standing.action === 'Revoke') return done;
    return { kind: 'requeue', afterMs: Math.min(LONGEST_WAIT_MS, Math.max(1, standing.expiresAt - clock.now())), reason: 'Expiry' };
  }

  /** On the Device: who looks at it sees who did it and why. */
  function announce(view: InterventionView): void {
    const { namespace, action } = view;
    const { name } = view.target;
    const uid = deps.devices.store.get(keyOfRef({ namespace, name }))?.uid;
    deps.recorder.event(
      { apiVersion: apiVersionOf(DEVICES), kind: DEVICES.kind, name, namespace, ...(uid === undefined ? {} : { uid }) },
      {
        type: action === 'Rotate' && !view.compromised ? 'Normal' : 'Warning',
        reason: action === 'Revoke' ? 'Revoked' : action === 'Quarantine' ? 'Quarantined' : view.compromised ? 'KeyGivenUp' : 'Rotated',
        message: `${deviceName(name, namespace)}: ${action} by Intervention ${view.name} of ${view.requestedBy}: ${view.reason}`,
        action,
      },
    );
  }

  deps.devices.subscribe(({ key }) => {
    for (const view of store.by('device', key)) controller.queue.add(view.key);
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
    devicesIn: (namespace) =>
      store.by('namespace', namespace).flatMap((view) => (deviceKeyOf(view) === undefined ? [] : [view.target.name])),
    named(namespace, name) {
      const view = store.get(keyOfRef({ namespace, name }));
      return view === undefined ? undefined : (quarantineOf(view) ?? 'another');
    },
    quarantinesBy: (user) => store.by('quarantinedBy', user).flatMap((view) => quarantineOf(view) ?? []),
    onChange: (listener) => void listeners.push(listener),
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

function sightOf(device: DeviceOfIntervention | undefined): DeviceSight | undefined {
  if (device === undefined) return undefined;
  const { conditions = [], identity, rotation } = device.status ?? {};
  return { conditions, revocationSteps: identity?.revocationSteps ?? [], rotation };
}
