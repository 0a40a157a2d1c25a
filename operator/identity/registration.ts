// Just-in-time registration: requests of the EST server for devices without a Device. Observe, decide, act: makes the Device, or says no where people see it.
// The request is then one of that Device's requests, and approved like any other (decide-est.ts). Nothing is kept here that a restart would miss:
// a Device says which request it was made for, so every step that was taken is found again (docs/adr/0011-just-in-time.md).
import { Counter } from 'prom-client';
import type { Device } from '../api/device.ts';
import { apiVersionOf, CERTIFICATE_REQUESTS, DEVICES, SEGMENT_POLICIES } from '../api/resources.ts';
import type { SegmentPolicy } from '../api/segment-policy.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../kube/errors.ts';
import { type Key, keyOf, keyOfRef } from '../kube/object.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Change } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import type { Random } from '../runtime/random.ts';
import { decideRegistration, type EnrollmentState, enrollmentState, type RegistrationDecision } from './decide-registration.ts';
import { createDeviceProjection, type DeviceFacts, type IssuerRef } from './device-facts.ts';
import { type EnrollmentPolicy, enrollmentPolicy } from './enrollment-policy.ts';
import { type IdentityCode, reasonOf } from './errors.ts';
import { judgeEvidence } from './evidence.ts';
import type { Ledger } from './ledger.ts';
import {
  type CertificateRequest,
  denialPatch,
  deviceKeyOf,
  holderOf,
  issuerKey,
  type RequestFacts,
  requestFacts,
} from './request-facts.ts';
import { keyInFlight, type Requests } from './requests.ts';
import { createSerialLists, type ReadLists } from './serial-lists.ts';
import { deleteRequest, wholeSeconds } from './steps.ts';

type DeviceStore = {
  readonly synced: boolean;
  get(key: Key): DeviceFacts | undefined;
  by(index: string, value: string): DeviceFacts[];
};

export type RegistrationDeps = {
  client: KubeClient;
  devices: { readonly store: DeviceStore; subscribe(listener: (change: Change<DeviceFacts>) => void): void };
  identity: {
    readonly requests: Requests;
    readonly ledger: Pick<Ledger, 'synced' | 'problem' | 'bySpki' | 'pending'>;
    onRequest(listener: (request: RequestFacts) => void): void;
  };
  defaultIssuer: IssuerRef;
  estUser: string | undefined;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export type Enrollment = EnrollmentState & { registered: number };

export interface Registration {
  /** To be filled before anything of this part runs. */
  readonly reflectors: readonly Pick<Reflector<EnrollmentPolicy>, 'kind' | 'store' | 'run' | 'whenSynced' | 'silentMs'>[];
  /** To be run while this process leads. */
  readonly controllers: readonly Controller[];
  /** What the status of a SegmentPolicy says of it; `unknown` = not looked yet; undefined = the policy lets nobody in just in time. */
  enrollment(policy: Key): Enrollment | 'unknown' | undefined;
  /** Called with a SegmentPolicy whose `enrollment` changed. */
  onChange(listener: (policy: Key) => void): void;
}

const CONCURRENCY = 8;
/** A person who puts a serial number on a list has the device on the bench. */
const LISTS_FRESH_MS = 10_000;
const LISTS_LOOK_MS = 60_000;
/** The watch shows within a moment what was created; until then it is remembered here. */
const COUNT_AFTER_MS = 1_000;
const AHEAD_MS = 60_000;
const BEHIND_MS = 300;

export function createRegistration(deps: RegistrationDeps): Registration {
  const { client, clock, log, metrics, devices } = deps;
  const { requests, ledger } = deps.identity;
  const shared = { client, clock, random: deps.random, log, metrics };
  const factsOf = createDeviceProjection();
  const serialLists = createSerialLists(client, clock);
  const ahead = new Map<Key, { facts: DeviceFacts; at: number }>();
  const states = new Map<Key, Enrollment>();
  const listeners: ((policy: Key) => void)[] = [];
  const tell = (policy: Key): void => {
    for (const listener of listeners) listener(policy);
  };
  const results = new Counter({
    name: 'fleet_registrations_total',
    help: 'Devices that asked to be registered just in time, by what became of it: made, or the reason of the refusal',
    labelNames: ['result'],
    registers: [metrics.registry],
  });

  const policies = createReflector<SegmentPolicy, EnrollmentPolicy>({
    ...shared,
    type: SEGMENT_POLICIES,
    project: enrollmentPolicy,
    onChange: ({ key, before, after }) => {
      if (before?.justInTime !== undefined || after?.justInTime !== undefined) policyController.queue.add(key);
    },
  });

  devices.subscribe(({ key, before, after }) => {
    ahead.delete(key);
    const policy = after?.factory?.policy ?? before?.factory?.policy;
    const namespace = (after ?? before)?.namespace;
    if (policy !== undefined && before?.uid !== after?.uid)
      policyController.queue.add(keyOfRef({ namespace: namespace ?? '', name: policy }), { band: 'background', afterMs: COUNT_AFTER_MS });
    const madeFor = after === undefined ? before?.factory?.request : undefined;
    for (const request of madeFor === undefined ? [] : requests.ownedBy(madeFor)) controller.queue.add(request.key);
  });

  const ready = (): boolean => devices.store.synced && policies.store.synced && requests.reflector.store.synced;
  const unseen = (): DeviceFacts[] =>
    [...ahead]
      .filter(([key, { at }]) => clock.elapsed() - at < AHEAD_MS && devices.store.get(key) === undefined)
      .map(([, { facts }]) => facts);
  const deviceOf = (key: Key): DeviceFacts | undefined => devices.store.get(key) ?? unseen().find((device) => device.key === key);
  const registeredBy = (policy: Key): number =>
    devices.store.by('registeredBy', policy).length +
    unseen().filter(({ namespace, factory }) => `${namespace}/${factory?.policy}` === policy).length;

  async function reconcile(key: Key, { signal }: ReconcileContext): Promise<Outcome> {
    const request = requests.get(key);
    if (request?.registers === undefined) return done;
    if (!ready()) return waiting(BEHIND_MS);
    const policy = policies.store.get(keyOfRef({ namespace: request.namespace, name: request.registers.segment }));
    const lists = policy === undefined || request.state !== 'new' ? { lists: [] } : await serialLists.read(policy, LISTS_FRESH_MS, signal);
    // From here to the place that is taken in `ahead` nothing is awaited: of two requests, the second sees what the first became.
    const decision = decideRegistration(observe(request, policy, lists));
    switch (decision.do) {
      case 'register':
        return await register(decision.device, signal);
      case 'deny':
        return await deny(request, policy, decision, signal);
      case 'delete':
        return await tidyUp(request, signal);
      case 'wait':
        return waiting(decision.afterMs);
      case 'nothing':
        return done;
    }
  }

  function observe(request: RequestFacts, policy: EnrollmentPolicy | undefined, lists: ReadLists) {
    const { namespace } = request;
    return {
      now: clock.now(),
      request,
      identity: request.registers === undefined || request.state !== 'new' ? undefined : judgeEvidence(request.registers, clock.now()),
      est: deps.estUser,
      ledger: { synced: ledger.synced, problem: ledger.problem },
      policy,
      lists,
      issuer: issuerKey(deps.defaultIssuer, namespace),
      named: deviceOf(deviceKeyOf(request)),
      withSerial: (serial: string) => [
        ...devices.store.by('identitySerial', `${namespace}/${serial}`),
        ...unseen().filter((device) => device.namespace === namespace && device.serial === serial),
      ],
      registered: policy === undefined ? 0 : registeredBy(policy.key),
      factsOf,
      ofKey: (spki: string) => ledger.bySpki(spki),
      pendingOfKey: (spki: string) => ledger.pending().find((entry) => entry.spki === spki),
      claimantOfKey: (spki: string) => devices.store.by('identityKey', spki)[0]?.key,
      keyInFlight: (spki: string) => keyInFlight(requests.withKey(spki), { est: deps.estUser, uid: '' }, request),
    };
  }

  async function register(device: Device, signal: AbortSignal): Promise<Outcome> {
    const key = keyOf(device);
    ahead.set(key, { facts: factsOf(device), at: clock.elapsed() });
    try {
      await client.create<Device>(DEVICES, device, signal);
      results.inc({ result: 'made' });
      log.info({ device: key }, 'a Device was made just in time');
      return done;
    } catch (error) {
      ahead.delete(key);
      // Made before a crash, or by a person this moment: the watch will show which.
      if (isAlreadyExists(error)) return waiting(BEHIND_MS);
      throw error;
    }
  }

  async function deny(
    request: RequestFacts,
    policy: EnrollmentPolicy | undefined,
    { code, message }: Extract<RegistrationDecision, { do: 'deny' }>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const ref = { name: request.name, namespace: request.namespace };
    const patch = denialPatch(request, message, wholeSeconds(clock.now()));
    try {
      requests.note(
        requestFacts(await client.mergePatch<CertificateRequest>(CERTIFICATE_REQUESTS, ref, patch, { subresource: 'status' }, signal)),
      );
    } catch (error) {
      // It has changed, or is gone: it comes back by its watch.
      if (isConflict(error) || isNotFound(error)) return waiting(BEHIND_MS);
      throw error;
    }
    results.inc({ result: reasonOf(code) });
    announce(policy, code, message);
    return waiting(0);
  }

  function announce(policy: EnrollmentPolicy | undefined, code: IdentityCode, message: string): void {
    if (policy === undefined) return;
    const { name, namespace, uid } = policy;
    const regarding = { apiVersion: apiVersionOf(SEGMENT_POLICIES), kind: SEGMENT_POLICIES.kind, name, namespace, uid };
    const type = code === 'HR-ID-086' ? 'Normal' : 'Warning';
    deps.recorder.event(regarding, { type, reason: reasonOf(code), message, action: 'Register' });
  }

  /** Absence in a cache is not absence: the Device may have been made a moment ago. */
  async function tidyUp(request: RequestFacts, signal: AbortSignal): Promise<Outcome> {
    const { namespace, registers } = request;
    const live = await client.get<Device>(DEVICES, { name: registers?.device ?? '', namespace }, signal);
    if (live !== undefined && factsOf(live).factory?.request === holderOf(request)) return waiting(BEHIND_MS);
    await deleteRequest(request, signal, { client, requests });
    return done;
  }

  async function look(key: Key, { signal }: ReconcileContext): Promise<Outcome> {
    const policy = policies.store.get(key);
    const state = policy === undefined ? undefined : await stateOf(policy, signal);
    const before = states.get(key);
    const now = state === undefined ? undefined : { ...state, registered: registeredBy(key) };
    if (now === undefined) states.delete(key);
    else states.set(key, now);
    if (JSON.stringify(before) !== JSON.stringify(now)) tell(key);
    if (before !== undefined && state !== undefined && before.reason !== state.reason)
      log.info({ policy: key, reason: state.reason }, 'who may come in just in time has changed');
    return state === undefined ? done : waiting(LISTS_LOOK_MS);
  }

  async function stateOf(policy: EnrollmentPolicy, signal: AbortSignal): Promise<EnrollmentState | undefined> {
    const isServed = policy.justInTime !== undefined && deps.estUser !== undefined;
    const lists = isServed ? await serialLists.read(policy, LISTS_FRESH_MS, signal) : { lists: [] };
    return enrollmentState(policy, lists, registeredBy(policy.key), deps.estUser);
  }

  const controller = createController({ name: 'registration', concurrency: CONCURRENCY, reconcile, clock, log, metrics });
  const policyController = createController({ name: 'enrollment', concurrency: 1, reconcile: look, clock, log, metrics });

  deps.identity.onRequest((request) => {
    if (request.registers !== undefined) controller.queue.add(request.key);
  });

  return {
    reflectors: [policies],
    controllers: [controller, policyController],
    enrollment(key) {
      if (policies.store.get(key)?.justInTime === undefined) return undefined;
      return states.get(key) ?? 'unknown';
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

function waiting(afterMs: number): Outcome {
  return { kind: 'requeue', afterMs, reason: 'Later' };
}
