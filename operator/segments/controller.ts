// The SegmentPolicy controller. Read `reconcile` from top to bottom: observe, decide, act, summarise. It is level-triggered: a policy that is gone is
// reconciled like one that is there, from the labels of the NetworkPolicies it left behind; there is no finalizer (docs/adr/0004-segments.md).
import { selects } from '../api/label-selector.ts';
import { apiVersionOf, NETWORK_POLICIES, SEGMENT_POLICIES } from '../api/resources.ts';
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import type { Exclusion } from '../broker/broker.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, refOf } from '../kube/object.ts';
import type { Store } from '../kube/store.ts';
import type { Standing } from '../probe/probe.ts';
import type { Clock } from '../runtime/clock.ts';
import { findCondition, isTrue } from '../runtime/conditions.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import { createExpectations } from '../runtime/expectations.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import { writeStatus } from '../runtime/status.ts';
import { carryOut } from './act.ts';
import { type ActualPolicy, isAsDesired } from './actual-policy.ts';
import { explain, type Finding, reasonOf } from './errors.ts';
import { exclusionSaid, gapsOf, isNetworkTried } from './gaps.ts';
import type { GatewayStanding } from './gateway-site.ts';
import type { Model, PolicyFacts, Verdict } from './model.ts';
import { type BrokerAccess, denyPolicy, type NetworkPolicy, networkPoliciesOf, SITE_DENY_NAME, siteDeny } from './networkpolicy.ts';
import { reachStatusOf } from './pairs.ts';
import { type Plan, planNetworkPolicies, type Step } from './plan.ts';
import type { Pods } from './pods.ts';

import { type EnrollmentView, RAW_EGRESS, summarise } from './summary.ts';
import type { NamespaceView, PolicyView } from './views.ts';

export type ControllerDeps = {
  client: KubeClient;
  policies: Store<PolicyView>;
  namespaces: Store<NamespaceView>;
  /** Index `segment`: `<namespace>/<segment>`; index `namespace`. */
  networkPolicies: Store<ActualPolicy>;
  pods: Pods;
  model: () => Model;
  /** The model of now with this policy in the place of the one of the same name. */
  modelWith: (policy: PolicyFacts) => Model;
  /** Whether the gateway of a namespace is there, and told what the policies say. */
  gateway: (namespace: string) => GatewayStanding;
  devices: (segment: Key) => number;
  enrollment: (segment: Key) => EnrollmentView | 'unknown' | undefined;
  exclusion: (segment: string) => Exclusion | 'unknown' | undefined;
  /** What was tried at the broker, by `<segment>.<namespace>`. */
  probe: (segment: string) => Standing;
  /** What was tried in the network. */
  networkProbe: () => Standing;
  /** Devices of a namespace whose pods get nothing of a segment. */
  shut: (namespace: string) => readonly string[];
  broker: BrokerAccess;
  recorder: Pick<Recorder, 'event'>;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

export type SegmentController = {
  controller: Controller /** Segments that are gone and whose pods are still shut. */;
  orphansOf(namespace: string): Key[];
};

const CONCURRENCY = 4;
const RETRY_REFUSED_MS = 30_000;
const PROBE_FAILED = 'ProbeFailed';

export function createSegmentController(deps: ControllerDeps): SegmentController {
  const { policies, clock } = deps;
  const expectations = createExpectations();
  const orphans = new Map<string, Set<Key>>();
  /** Name and hash of what was applied, to tell a repair from a first apply. */
  const applied = new Set<string>();

  async function reconcile(key: Key, ctx: ReconcileContext): Promise<Outcome> {
    const policy = policies.get(key);
    // The cache has not seen our own last write yet: its event is on the way and will come back here.
    if (expectations.stale(key, policy)) return done;
    const { name, namespace = '' } = refOf(key);
    const home = deps.namespaces.get(namespace);
    // Nothing can be made in a namespace that goes, and all that is in it goes with it.
    if (home === undefined || home.terminating) return done;

    const model = deps.model();
    const verdict = policy === undefined ? undefined : model.verdicts.get(key);
    const desired = verdict === undefined ? [] : desiredOf(verdict, model, { name, namespace }, deps);
    const plan = planNetworkPolicies({
      segment: { name, namespace },
      desired,
      actual: observed(key, namespace, desired),
      podsMatch: (selector) => deps.pods.match(namespace, selector),
      siteDenied: isSiteDenied(home),
    });
    remember(namespace, key, policy === undefined && plan.kept.length > 0);

    const refused = await carryOut(plan.steps, deps, ctx.signal);
    if (refused === undefined) noteRepairs(policy, plan.steps);
    if (policy === undefined || verdict === undefined) return refused === undefined ? done : again(refused);
    return summariseInto(policy, verdict, { plan, desired, refused }, model, ctx);
  }

  /** Of ours: what carries the label of the segment, and what has a name that the segment wants, whatever its labels say. */
  function observed(key: Key, namespace: string, desired: readonly NetworkPolicy[]): ActualPolicy[] {
    const found = new Map(deps.networkPolicies.by('segment', key).map((policy) => [policy.key, policy]));
    for (const { metadata } of desired) {
      const policy = deps.networkPolicies.get(`${namespace}/${metadata.name}`);
      if (policy !== undefined) found.set(policy.key, policy);
    }
    return [...found.values()];
  }

  /** Read back, not assumed: an orphan's deny goes only when the deny of the whole namespace is there. */
  function isSiteDenied(home: NamespaceView): boolean {
    return home.site && isAsDesired(siteDeny(home.key), deps.networkPolicies.get(`${home.key}/${SITE_DENY_NAME}`));
  }

  function remember(namespace: string, key: Key, orphan: boolean): void {
    const known = orphans.get(namespace) ?? new Set();
    if (orphan) known.add(key);
    else known.delete(key);
    if (known.size === 0) orphans.delete(namespace);
    else orphans.set(namespace, known);
  }

  function noteRepairs(policy: PolicyView | undefined, steps: readonly Step[]): void {
    for (const step of steps) {
      if (step.do !== 'apply') continue;
      const id = `${step.policy.metadata.namespace}/${step.policy.metadata.name} ${JSON.stringify(step.policy.metadata.annotations)}`;
      const again = applied.has(id);
      applied.add(id);
      if (policy === undefined || (step.why !== 'edited' && !(step.why === 'missing' && again))) continue;
      const how = step.why === 'edited' ? 'was changed' : 'was deleted';
      tell(
        policy,
        'Warning',
        'NetworkPolicyRepaired',
        `NetworkPolicy ${step.policy.metadata.name} ${how} by somebody else and is as declared again`,
        'Repair',
      );
    }
  }

  type Done = { plan: Plan; desired: readonly NetworkPolicy[]; refused: Finding | undefined };

  async function summariseInto(policy: PolicyView, verdict: Verdict, acted: Done, model: Model, ctx: ReconcileContext): Promise<Outcome> {
    // A text that is only audited is reported as if it were enforced, and applied nowhere.
    const shown = verdict.audited && model.trial !== undefined ? model.trial : model;
    const compiled = shown.verdicts.get(policy.key) ?? verdict;
    const { segment } = compiled;
    // Of a text that is only audited the broker knows nothing.
    const asked = verdict.audited || segment === undefined ? undefined : deps.exclusion(segment.rights.segment);
    // After a restart: what stands there holds until the broker was looked at.
    const excluded = asked === 'unknown' ? exclusionSaid(policy.status?.gaps) : asked;
    const selectors = segment?.workloads ?? compiled.shut;
    const status = summarise({
      generation: policy.generation,
      spec: policy.spec,
      status: policy.status,
      verdict,
      compiled,
      network: {
        policies: shown === model ? acted.desired.length + acted.plan.kept.length : desiredOf(compiled, shown, policy, deps).length,
        ...(acted.refused === undefined ? {} : { refused: acted.refused }),
      },
      excluded,
      gateway: deps.gateway(policy.namespace),
      probe: deps.probe(`${policy.name}.${policy.namespace}`),
      networkProbe: deps.networkProbe(),
      devices: deps.devices(policy.key),
      enrollment: deps.enrollment(policy.key),
      pods: selectors.length === 0 ? 0 : deps.pods.count(policy.namespace, selectors),
      gaps:
        segment === undefined
          ? []
          : gapsOf({
              ...{ segment, model: shown, broker: deps.broker, excluded },
              widening: wideningOf(policy.namespace, segment.workloads),
              gateway: deps.gateway(policy.namespace) !== 'none',
              networkTried: isNetworkTried(deps.networkProbe(), policy.status?.gaps),
              onHostNetwork: deps.pods.onHostNetwork(policy.namespace, segment.workloads),
            }),
      reach: reachStatusOf({ policy, status: policy.status, verdict, model, shown, modelWith: deps.modelWith }),
      now: new Date(clock.now()).toISOString(),
    });
    const target = { ref: refOf(policy.key), uid: policy.uid, status: policy.status, resourceVersion: policy.resourceVersion };
    await writeStatus(deps.client, SEGMENT_POLICIES, target, status, { expectations, signal: ctx.signal });
    const stalled = status.conditions?.find((condition) => condition.type === 'Stalled');
    if (stalled !== undefined && !isTrue(policy.status?.conditions, 'Stalled'))
      tell(policy, 'Warning', stalled.reason, stalled.message, 'Compile');
    const enforced = status.conditions?.find((condition) => condition.type === 'Enforced');
    if (enforced?.reason === PROBE_FAILED && findCondition(policy.status?.conditions, 'Enforced')?.reason !== PROBE_FAILED)
      tell(policy, 'Warning', PROBE_FAILED, enforced.message, 'Probe');
    tellOfRaw(policy, status);
    if (acted.refused !== undefined) return again(acted.refused);
    return stalled === undefined ? done : { kind: 'stalled', reason: stalled.reason, message: stalled.message };
  }

  /** Once when raw data may begin to leave, and once when they may not any more. */
  function tellOfRaw(policy: PolicyView, status: SegmentPolicyStatus): void {
    const now = findCondition(status.conditions, RAW_EGRESS);
    const before = findCondition(policy.status?.conditions, RAW_EGRESS);
    if (now === undefined || now.status === before?.status) return;
    tell(policy, now.status === 'True' ? 'Warning' : 'Normal', now.reason, now.message, 'Compile');
  }

  /** Foreign policies that allow something to or from a pod of the segment. */
  function wideningOf(namespace: string, workloads: NonNullable<Verdict['segment']>['workloads']): ActualPolicy[] {
    if (workloads.length === 0) return [];
    const foreign = deps.networkPolicies
      .by('namespace', namespace)
      .filter((policy) => policy.ours === undefined && (policy.opens.ingress || policy.opens.egress));
    if (foreign.length === 0) return [];
    const pods = deps.pods.inNamespace(namespace).filter((pod) => workloads.some((selector) => selects(selector, pod.labels)));
    return foreign
      .filter((policy) => pods.some((pod) => selects(policy.podSelector, pod.labels)))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  function tell(policy: PolicyView, type: 'Normal' | 'Warning', reason: string, message: string, action: string): void {
    const { name, namespace, uid } = policy;
    deps.recorder.event(
      { apiVersion: apiVersionOf(SEGMENT_POLICIES), kind: SEGMENT_POLICIES.kind, name, namespace, uid },
      { type, reason, message, action },
    );
  }

  const { log, metrics } = deps;
  return {
    controller: createController({ name: 'segmentpolicy', concurrency: CONCURRENCY, reconcile, clock, log, metrics }),
    orphansOf: (namespace) => [...(orphans.get(namespace) ?? [])],
  };
}

function desiredOf(
  verdict: Verdict,
  model: Model,
  { name, namespace }: { name: string; namespace: string },
  { broker, shut }: Pick<ControllerDeps, 'broker' | 'shut'>,
): NetworkPolicy[] {
  if (verdict.segment !== undefined) return networkPoliciesOf(verdict.segment, model, broker, shut(namespace));
  return verdict.shut.map((selector) => denyPolicy(namespace, name, selector));
}

function again(refused: Finding): Outcome {
  return {
    kind: 'waiting',
    afterMs: RETRY_REFUSED_MS,
    reason: reasonOf(refused.code),
    message: `${NETWORK_POLICIES.plural}: ${explain(refused)}`,
  };
}
