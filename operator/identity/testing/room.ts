// The identity room alone, with the smallest controller that can drive it: what the Device controller does for identity, and nothing for the other rooms.
import type { Device, DeviceStatus } from '../../api/device.ts';
import type { Condition } from '../../api/meta.ts';
import { DEVICES } from '../../api/resources.ts';
import type { KubeClient } from '../../kube/client.ts';
import { type Key, refOf } from '../../kube/object.ts';
import type { Random } from '../../kube/ports.ts';
import { createReflector } from '../../kube/reflector.ts';
import type { Clock } from '../../runtime/clock.ts';
import { setCondition } from '../../runtime/conditions.ts';
import { createController } from '../../runtime/controller.ts';
import type { Recorder } from '../../runtime/events.ts';
import { createExpectations } from '../../runtime/expectations.ts';
import type { Log } from '../../runtime/log.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { done, type Outcome } from '../../runtime/outcome.ts';
import { writeStatus } from '../../runtime/status.ts';
import {
  createIdentity,
  createRegistration,
  type DeviceFacts,
  deviceIndexes,
  deviceProjection,
  type Identity,
  type IdentityDeps,
  type IdentityResult,
  type Registration,
  type Rotation,
} from '../identity.ts';

type View = DeviceFacts & { lifecycle: 'Active' | 'Quarantined' | 'Revoked'; generation: number; status: DeviceStatus | undefined };

export type RoomDeps = {
  client: KubeClient;
  namespace: string;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  defaultIssuer: IdentityDeps['defaultIssuer'];
  estUser?: string;
  acceptedApprovers?: string[];
  recorder?: Pick<Recorder, 'event'>;
  /** What people asked for by hand. */
  rotationOf?: (device: Key) => Rotation | undefined;
};

export type Room = {
  identity: Identity;
  registration: Registration;
  wake(device: Key): void;
  whenSynced(): Promise<void>;
  stop(): Promise<void>;
};

const QUIET_MS = 10_000;

export function startRoom(deps: RoomDeps): Room {
  const { client, clock, log, metrics } = deps;
  const project = deviceProjection();
  const devices = createReflector<Device, View>({
    client,
    clock,
    random: deps.random,
    log,
    metrics,
    type: DEVICES,
    indexes: deviceIndexes,
    project: (device) => ({
      ...project(device),
      lifecycle: device.spec.lifecycle ?? 'Active',
      generation: device.metadata.generation ?? 0,
      status: device.status,
    }),
  });
  const identity = createIdentity({ ...deps, devices });
  const registration = createRegistration({
    ...deps,
    identity,
    devices,
    estUser: deps.estUser,
    recorder: deps.recorder ?? { event: () => undefined },
  });
  const expectations = createExpectations();
  const waitingSince = new Map<Key, number>();

  async function reconcile(key: Key, ctx: { signal: AbortSignal }): Promise<Outcome> {
    const device = devices.store.get(key);
    if (expectations.stale(key, device) || device === undefined) return done;
    const result = await identity.ensure(device, device.lifecycle, { signal: ctx.signal, rotation: deps.rotationOf?.(key) });
    if (staysQuiet(key, device, result.outcome)) return result.outcome;
    const target = { ref: refOf(key), uid: device.uid, status: device.status, resourceVersion: device.resourceVersion };
    const next = statusOf(device, result, new Date(clock.now()).toISOString());
    if ((await writeStatus(client, DEVICES, target, next, { expectations, signal: ctx.signal })) !== 'gone') await result.cleanup?.();
    return result.outcome;
  }

  /** A wait that is over soon leaves no trace in the status: one write a device, not two. */
  function staysQuiet(key: Key, device: View, outcome: Outcome): boolean {
    if (outcome.kind !== 'waiting') {
      waitingSince.delete(key);
      return false;
    }
    const since = waitingSince.get(key) ?? clock.elapsed();
    waitingSince.set(key, since);
    return device.status?.conditions === undefined && clock.elapsed() - since < QUIET_MS;
  }

  const controller = createController({ name: 'device', concurrency: 8, reconcile, clock, log, metrics });
  devices.subscribe(({ key }) => controller.queue.add(key));
  identity.onDeviceWake((key) => controller.queue.add(key));
  const stop = new AbortController();
  const parts = [devices, identity, controller, ...registration.reflectors, ...registration.controllers];
  const running = parts.map((part) => part.run(stop.signal));
  return {
    identity,
    registration,
    wake: (key) => controller.queue.add(key),
    whenSynced: () => devices.whenSynced(stop.signal),
    async stop() {
      stop.abort(new Error('the room is closed'));
      await Promise.allSettled(running);
    },
  };
}

/** `Certified` as identity says, `Stalled` with code and cure, `Ready` when there is a certificate and nothing else is wrong. */
function statusOf(device: View, { certified, outcome, identity, certificate }: IdentityResult, now: string): DeviceStatus {
  const verdicts: Omit<Condition, 'lastTransitionTime'>[] = [
    { type: 'Certified', ...certified },
    { type: 'Ready', ...certified },
    ...(outcome.kind === 'stalled' ? [{ type: 'Stalled', status: 'True' as const, reason: outcome.reason, message: outcome.message }] : []),
  ];
  const before = (device.status?.conditions ?? []) as Condition[];
  const kept = before.filter((old) => verdicts.some((verdict) => verdict.type === old.type));
  return {
    observedGeneration: device.generation,
    ...(identity === undefined ? {} : { identity }),
    ...(certificate === undefined ? {} : { certificate }),
    conditions: verdicts.reduce<Condition[]>((list, verdict) => setCondition(list, verdict, now), kept),
  };
}
