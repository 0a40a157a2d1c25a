// The door of the segments room: SegmentPolicies become topic rights for the broker room and NetworkPolicies in the cluster.
import { NAMESPACES, NETWORK_POLICIES, SEGMENT_POLICIES } from '../api/resources.ts';
import type { SegmentPolicy } from '../api/segment-policy.ts';
import type { Exclusion, SegmentRights } from '../broker/broker.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, type KubeObject, keyOfRef, refOf } from '../kube/object.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Change, Projected } from '../kube/store.ts';
import { networkNotProbed, notProbed, type Standing } from '../probe/probe.ts';
import type { Clock } from '../runtime/clock.ts';
import { findCondition } from '../runtime/conditions.ts';
import type { Controller } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { type ActualPolicy, actualPolicy, type LivePolicy } from './actual-policy.ts';
import { createSegmentController } from './controller.ts';
import { createDeviceCounts, type DeviceOfSegment } from './device-counts.ts';
import { egressRecordOf, type SiteRecord } from './egress-record.ts';
import { createGatewaySites } from './gateway-site.ts';
import type { Membership } from './membership.ts';
import { buildModel, type Model, rightsOf, type Segment } from './model.ts';
import { createModelCache } from './model-cache.ts';
import type { BrokerAccess } from './networkpolicy.ts';
import { createPods } from './pods.ts';
import { createQuarantineController } from './quarantine.ts';
import { createSiteController } from './site.ts';
import { ENROLLMENT_OPEN, type EnrollmentView } from './summary.ts';
import { type NamespaceView, namespaceView, type PolicyView, policyView } from './views.ts';

export type SegmentsDeps = {
  client: KubeClient;
  /** A reflector of Devices, or what behaves like one; only for the number of devices in the status. */
  devices: { subscribe(listener: (change: Change<DeviceOfSegment>) => void): void };
  /** Devices of a namespace that are not Active, in one order; throws while that is not known. Their pods get nothing of a segment. */
  shut(namespace: string): readonly string[];
  /** Where pods reach the broker. Without peers, pods of segments cannot reach it, and status.gaps says so. */
  broker: BrokerAccess;
  /** Who may come in by this policy without a manifest; `unknown` = not looked yet; undefined = nobody. */
  enrollment?: (segment: Key) => EnrollmentView | 'unknown' | undefined;
  /** Why the broker denies this segment, by `<segment>.<namespace>`; undefined as long as it does not, `unknown` before it was asked. */
  exclusion?: (segment: string) => Exclusion | 'unknown' | undefined;
  /** What was tried at the broker of this segment, by `<segment>.<namespace>`; absent: nothing ever is. */
  probe?: (segment: string) => Standing;
  /** What was tried in the network; absent: nothing ever is. */
  networkProbe?: () => Standing;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export type { SegmentRecord, SiteRecord } from './egress-record.ts';

export type Segments = {
  /** Topic rights of every segment in force. Throws before the caches are filled: an empty answer would take everybody's rights away. */
  rights(): SegmentRights[];
  /** The Segmented condition of a Device. */
  membership(device: { name: string; namespace: string; segment: string }): { segmented: Membership };
  /** What the policy in force says of how much one device may use; undefined while there is none. */
  useOfBroker(segment: Key): Pick<Segment, 'limits' | 'triggers'> | undefined;
  /** What `enrollment` says of this policy has changed. */
  enrollmentChanged(segment: Key): void;
  /** What `exclusion` or `probe` says of these segments (`<segment>.<namespace>`) has changed. */
  brokerSaysElse(segments: Iterable<string>): void;
  /** What `networkProbe` says has changed. */
  networkSaysElse(): void;
  /** Called with `<namespace>/<segment>` of segments whose rights or members changed. */
  onChange(listener: (segments: Key[]) => void): void;
  /** `shut` may answer differently for this namespace now. */
  shutChanged(namespace: string): void;
  /** To be filled before anything of this room runs. */
  reflectors: readonly Pick<Reflector<Projected>, 'kind' | 'store' | 'run' | 'whenSynced' | 'silentMs'>[];
  /** To be run while this process leads. */
  controllers: readonly Controller[];
};

/** Numbers in a status are not news: they are written at most this often. */
const COUNTS_AFTER_MS = 10_000;
/** A rollout changes many pods; two segments that share one are shut this soon. */
const PODS_BURST_MS = 250;

export function createSegments(deps: SegmentsDeps): Segments {
  const { client, clock, random, log, metrics } = deps;
  const shared = { client, clock, random, log, metrics };
  const listeners: ((segments: Key[]) => void)[] = [];
  const wake = (segments: Iterable<Key>, afterMs = 0): void => {
    for (const segment of segments) segmentController.controller.queue.add(segment, afterMs > 0 ? { band: 'background', afterMs } : {});
  };

  const policies = createReflector<SegmentPolicy, PolicyView>({
    ...shared,
    type: SEGMENT_POLICIES,
    project: policyView,
    indexes: { namespace: (policy) => [policy.namespace] },
    onChange: ({ key, before, after }) => {
      if (concernsModel(before, after)) cache.invalidate();
      wake([key]);
    },
  });
  const namespaces = createReflector<KubeObject, NamespaceView>({
    ...shared,
    type: NAMESPACES,
    metadataOnly: true,
    project: namespaceView,
    onChange: ({ key, before, after }) => {
      if (before === undefined || after === undefined) quarantineController.queue.add(key);
      if (before?.maxTrust !== after?.maxTrust) cache.invalidate();
      if (before?.site !== after?.site || before?.terminating !== after?.terminating) {
        siteController.queue.add(key);
        wake(segmentController.orphansOf(key));
      }
    },
  });
  const networkPolicies = createReflector<LivePolicy, ActualPolicy>({
    ...shared,
    type: NETWORK_POLICIES,
    project: actualPolicy,
    indexes: {
      namespace: (policy) => [policy.namespace],
      segment: (policy) =>
        policy.ours?.segment === undefined ? [] : [keyOfRef({ namespace: policy.namespace, name: policy.ours.segment })],
    },
    onChange: ({ before, after }) => {
      for (const policy of [before, after]) if (policy !== undefined) wakeForPolicy(policy);
    },
  });
  const pods = createPods(shared, (namespace) => {
    wake(segmentController.orphansOf(namespace));
    const withPods = policies.store.by('namespace', namespace).filter((policy) => (policy.spec.workloads ?? []).length > 0);
    if (withPods.length > 1) cache.invalidate(PODS_BURST_MS);
    wake(
      withPods.map((policy) => policy.key),
      COUNTS_AFTER_MS,
    );
  });
  const gateways = createGatewaySites({
    ...shared,
    model: () => cache.current(),
    ready: () => ready(),
    onStanding: (namespace) => wake(policies.store.by('namespace', namespace).map(({ key }) => key)),
  });
  const ofModel = [policies, namespaces, networkPolicies, ...pods.reflectors];
  const reflectors = [...ofModel, gateways.reflector];

  function wakeForPolicy(policy: ActualPolicy): void {
    if (policy.ours?.role === 'site-deny') {
      siteController.queue.add(policy.namespace);
      wake(segmentController.orphansOf(policy.namespace));
    } else if (policy.ours?.role === 'quarantine') {
      quarantineController.queue.add(policy.namespace);
    } else if (policy.ours?.segment !== undefined) {
      wake([keyOfRef({ namespace: policy.namespace, name: policy.ours.segment })]);
    } else {
      // A foreign policy may widen what segments reach, or one of ours lost its labels.
      wake(policies.store.by('namespace', policy.namespace).map(({ key }) => key));
    }
  }

  const counts = createDeviceCounts((segment) => {
    if (policies.store.get(segment) !== undefined) wake([segment], COUNTS_AFTER_MS);
  });
  deps.devices.subscribe((change) => counts.changed(change));

  const ready = (): boolean => ofModel.every((reflector) => reflector.store.synced);
  const cache = createModelCache({
    policies: policies.store,
    namespaces: namespaces.store,
    pods: (namespace) => pods.inNamespace(namespace),
    ready,
    clock,
    onCompiled: (segments) => {
      wake(segments);
      for (const namespace of new Set(segments.map((segment) => refOf(segment).namespace ?? ''))) gateways.changed(namespace);
    },
    onRights: (segments) => {
      for (const listener of listeners) listener(segments);
    },
  });
  const segmentController = createSegmentController({
    ...deps,
    policies: policies.store,
    namespaces: namespaces.store,
    networkPolicies: networkPolicies.store,
    pods,
    model: () => cache.current(),
    modelWith: (policy) => cache.modelWith(policy),
    gateway: (namespace) => gateways.standing(namespace),
    devices: (segment) => counts.of(segment),
    enrollment: deps.enrollment ?? (() => undefined),
    exclusion: deps.exclusion ?? (() => undefined),
    probe: deps.probe ?? notProbed,
    networkProbe: deps.networkProbe ?? networkNotProbed,
  });
  const quarantineController = createQuarantineController({
    ...{ ...shared, namespaces: namespaces.store, networkPolicies: networkPolicies.store },
    shut: deps.shut,
    broker: deps.broker,
  });
  const siteController = createSiteController({ ...shared, namespaces: namespaces.store, networkPolicies: networkPolicies.store });

  return {
    rights() {
      if (!ready()) throw new Error('the SegmentPolicies were not read from the API server yet');
      return rightsOf(cache.current());
    },
    membership: ({ namespace, segment }) => ({ segmented: cache.membership(keyOfRef({ namespace, name: segment })) }),
    useOfBroker: (segment) => cache.current().verdicts.get(segment)?.segment,
    enrollmentChanged: (segment) => {
      const view = deps.enrollment?.(segment);
      const shown = findCondition(policies.store.get(segment)?.status?.conditions, ENROLLMENT_OPEN);
      const flips = view === 'unknown' ? false : view?.reason !== shown?.reason || view?.message !== shown?.message;
      wake([segment], flips ? 0 : COUNTS_AFTER_MS);
    },
    brokerSaysElse(segments) {
      for (const [name = '', namespace = ''] of [...segments].map((one) => one.split('.'))) wake([keyOfRef({ namespace, name })]);
    },
    networkSaysElse: () => wake([...policies.store.values()].filter(({ spec }) => (spec.workloads ?? []).length > 0).map(({ key }) => key)),
    onChange: (listener) => void listeners.push(listener),
    shutChanged(namespace) {
      quarantineController.queue.add(namespace);
      wake(policies.store.by('namespace', namespace).flatMap(({ key, spec }) => ((spec.workloads ?? []).length > 0 ? [key] : [])));
    },
    reflectors,
    controllers: [segmentController.controller, siteController, quarantineController, gateways.controller],
  };
}

/** What may leave the sites by SegmentPolicies that were listed once; `now` in ms since the epoch. */
export const egressOfListed = (policies: readonly SegmentPolicy[], namespaces: readonly KubeObject[], now: number): SiteRecord[] =>
  egressRecordOf(modelOfListed(policies, namespaces, now));

/** The topic rights of SegmentPolicies that were listed once, as `rights()` gives them. Pods take no part in them. */
export function rightsOfListed(policies: readonly SegmentPolicy[], namespaces: readonly KubeObject[], now: number): SegmentRights[] {
  return rightsOf(modelOfListed(policies, namespaces, now));
}

function modelOfListed(policies: readonly SegmentPolicy[], namespaces: readonly KubeObject[], now: number): Model {
  const maxTrust = new Map(namespaces.map(namespaceView).map((view) => [view.key, view.maxTrust]));
  return buildModel({ policies: policies.map(policyView), maxTrust: (namespace) => maxTrust.get(namespace), pods: () => [], now });
}

/** Our own status writes come back as changes and change nothing. */
function concernsModel(before: PolicyView | undefined, after: PolicyView | undefined): boolean {
  if (before === undefined || after === undefined || before.uid !== after.uid || before.generation !== after.generation) return true;
  return before.lastGood?.generation !== after.lastGood?.generation && after.lastGood?.generation !== after.generation;
}
