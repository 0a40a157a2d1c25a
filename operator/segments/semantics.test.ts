// The eight sentences that say what a SegmentPolicy means (docs/reference/segment-policy.md), each held against what both emitters make: NetworkPolicies, by the words
// of their API reference, and the text for the broker, by the reading that EMQX makes of it.
import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec, SegmentPolicyStatus } from '../api/segment-policy.ts';
import { brokerOf } from '../broker/testing/text.ts';
import { networkNotProbed, notProbed } from '../probe/probe.ts';
import { gapsOf } from './gaps.ts';
import { buildModel, type Model, type PolicyFacts, rightsOf } from './model.ts';
import { denyPolicy, type NetworkPolicy, networkPoliciesOf, quarantinePolicy, siteDeny } from './networkpolicy.ts';
import { planNetworkPolicies } from './plan.ts';
import { summarise } from './summary.ts';
import { allows, isSelected, type Pod } from './testing/evaluate.ts';
import { NOW, policyOf } from './testing/fleet.ts';

const BROKER = { port: 8883, peers: [{ namespace: 'emqx', podLabels: { app: 'emqx' } }] };
const HTTPS = [{ protocol: 'TCP' as const, port: 443 }];
const pod = (name: string, namespace = 'berlin', labels: Record<string, string> = { app: name }): Pod => ({ name, namespace, labels });
const SENSOR = pod('sensor');
const GATEWAY = pod('gateway');
const STRANGER = pod('stranger');
const BOTH = pod('both', 'berlin', { app: 'sensor', tier: 'gateway' });

type Spec = Partial<SegmentPolicySpec>;
const sensors = (more: Spec = {}): PolicyFacts =>
  policyOf('sensors', 'berlin', {
    workloads: [{ podSelector: { matchLabels: { app: 'sensor' } } }],
    topics: {
      publish: [
        { topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false },
        { topic: 'in/gateways.berlin/{device}', qosMax: 1, retain: false },
      ],
    },
    conduits: [{ name: 'up', to: { segment: 'gateways' }, ports: HTTPS }],
    ...more,
  });
const gateways = (more: Spec = {}): PolicyFacts =>
  policyOf('gateways', 'berlin', {
    trust: 3,
    workloads: [{ podSelector: { matchLabels: { app: 'gateway' } } }, { podSelector: { matchLabels: { tier: 'gateway' } } }],
    acceptFrom: [{ segment: 'sensors', ports: HTTPS, topics: [{ topic: 'in/{segment}/{device}', action: 'publish' }] }],
    ...more,
  });

/** What the operator would make of these policies. */
function world(policies: PolicyFacts[], pods: readonly Pod[] = [SENSOR, GATEWAY, STRANGER], now = NOW) {
  const model = buildModel({ policies, maxTrust: () => 3, pods: (namespace) => pods.filter((one) => one.namespace === namespace), now });
  const network = networkOf(model);
  const broker = brokerOf(rightsOf(model));
  return {
    model,
    network,
    reaches: (from: Pod, to: Pod, port = 443, more: NetworkPolicy[] = []) =>
      allows([...network, ...more], { from, to, protocol: 'TCP', port }),
    may: (action: 'publish' | 'subscribe', topic: string, segment = 'sensors.berlin') =>
      broker({ device: 't.berlin', segment, action, topic }),
  };
}

const networkOf = (model: Model, shut: readonly string[] = []): NetworkPolicy[] =>
  [...model.verdicts.values()].flatMap(({ key, segment, shut: selectors }) => {
    const [namespace = '', name = ''] = key.split('/');
    return segment === undefined
      ? selectors.map((selector) => denyPolicy(namespace, name, selector))
      : networkPoliciesOf(segment, model, BROKER, shut);
  });

function statusOf(model: Model, policy: PolicyFacts): SegmentPolicyStatus {
  const verdict = model.verdicts.get(policy.key);
  if (verdict === undefined) throw new Error(`no verdict about ${policy.key}`);
  const gaps =
    verdict.segment === undefined
      ? []
      : gapsOf({ segment: verdict.segment, model, broker: BROKER, excluded: undefined, widening: [], onHostNetwork: [] });
  return summarise({
    ...{ generation: 1, spec: policy.spec, status: undefined, verdict, compiled: verdict },
    ...{
      network: { policies: 0 },
      excluded: undefined,
      probe: notProbed(),
      networkProbe: networkNotProbed(),
      gateway: 'none',
      devices: 0,
      enrollment: undefined,
      pods: 0,
      gaps,
      reach: { pairs: 0, added: 0, removed: 0, modelDigest: '' },
      now: '2026-11-26T00:00:00Z',
    },
  });
}
const said = (status: SegmentPolicyStatus, type: string) => status.conditions?.find((condition) => condition.type === type)?.status;

describe('the eight sentences', () => {
  it('1. deny by default: in the network, at the broker and at the boundary of the site', () => {
    const { reaches, may } = world([sensors({ conduits: [], topics: {} }), gateways()]);
    for (const other of [GATEWAY, STRANGER, pod('x', 'paris')])
      expect([reaches(SENSOR, other), reaches(other, SENSOR)]).toEqual([false, false]);
    for (const topic of ['dt/sensors.berlin/t.berlin/x', 'agg/berlin/x', '$SYS/x'])
      expect([may('publish', topic), may('subscribe', topic)]).toEqual([false, false]);
    for (const topic of ['#', '+/#', 'dt/#', '$share/g/#']) expect(may('subscribe', topic)).toBe(false);
    // Without the label of the site only segments are shut; with it the whole namespace.
    expect(reaches(STRANGER, pod('x', 'paris'))).toBe(true);
    expect(reaches(STRANGER, pod('x', 'paris'), 443, [siteDeny('berlin')])).toBe(false);
  });

  it('2. a flow exists only when both sides grant it, ports and topics alike', () => {
    const outcome = (a: Spec, b: Spec) => {
      const { reaches, may } = world([sensors(a), gateways(b)]);
      return [reaches(SENSOR, GATEWAY), may('publish', 'in/gateways.berlin/t.berlin')];
    };
    expect(outcome({}, {})).toEqual([true, true]);
    expect(outcome({}, { acceptFrom: [] })).toEqual([false, false]);
    expect(outcome({ conduits: [], topics: {} }, {})).toEqual([false, false]);
  });

  it('3. who is in two segments gets nothing that one of them does not allow, and both policies say so', () => {
    const policies = [sensors(), gateways()];
    const { model, network } = world(policies, [BOTH, SENSOR, GATEWAY]);
    const alone = policies.map((one) => networkOf(buildModel({ policies: [one], maxTrust: () => 3, pods: () => [], now: NOW })));
    for (const to of [SENSOR, GATEWAY, STRANGER, pod('emqx', 'emqx'), pod('x', 'paris')])
      for (const port of [443, 8883]) {
        const [both, ...each] = [network, ...alone].map((made) => allows(made, { from: BOTH, to, protocol: 'TCP', port }));
        if (both === true) expect(each).toEqual([true, true]);
      }
    for (const policy of policies) {
      const status = statusOf(model, policy);
      expect([said(status, 'Conflicted'), said(status, 'Stalled'), said(status, 'Ready')]).toEqual(['True', 'True', 'False']);
    }
    expect(model.verdicts.get('berlin/sensors')?.conflictsWith).toEqual(['berlin/gateways']);
    expect(model.verdicts.get('berlin/gateways')?.conflictsWith).toEqual(['berlin/sensors']);
  });

  it('4. what is allowed adds up; quarantine, the end of a conduit and a conflict each take away, in this order', () => {
    const up = (port: number, expires?: string) => ({
      name: `p${port}`,
      to: { segment: 'gateways' },
      ports: [{ protocol: 'TCP' as const, port }],
      ...(expires === undefined ? {} : { expires }),
    });
    const open = gateways({ acceptFrom: [80, 443].map((port) => ({ segment: 'sensors', ports: [{ protocol: 'TCP', port }] })) });
    const two = world([sensors({ conduits: [up(80), up(443)] }), open]);
    expect([two.reaches(SENSOR, GATEWAY, 80), two.reaches(SENSOR, GATEWAY, 443)]).toEqual([true, true]);
    const ended = world([sensors({ conduits: [up(80, '2026-11-24T12:00:00Z'), up(443)] }), open]);
    expect([ended.reaches(SENSOR, GATEWAY, 80), ended.reaches(SENSOR, GATEWAY, 443)]).toEqual([false, true]);
    const conflict = world([sensors({ conduits: [up(443)] }), open], [BOTH]);
    expect(conflict.reaches(SENSOR, GATEWAY, 443)).toBe(false);
    const device: Pod = { ...SENSOR, labels: { ...SENSOR.labels, 'hedgerow.dev/device': 't' } };
    const shut = [...networkOf(two.model, ['t']), quarantinePolicy('berlin', ['t'], BROKER)];
    const reach = (to: Pod, port: number) => allows(shut, { from: device, to, protocol: 'TCP', port });
    expect([reach(GATEWAY, 443), reach(pod('emqx', 'emqx'), 8883)]).toEqual([false, true]);
  });

  it('5. trust rises only to a gateway or with a reason, and nobody initiates into trust 0', () => {
    const outcome = (from: number, to: number, justification = '') => {
      const topics = { publish: [{ topic: 'in/gateways.berlin/{device}', qosMax: 1 as const, retain: false, justification }] };
      const conduits = [{ name: 'up', to: { segment: 'gateways' }, ports: HTTPS, justification }];
      const { reaches, may } = world([sensors({ trust: from, conduits, topics }), gateways({ trust: to })]);
      return [reaches(SENSOR, GATEWAY), may('publish', 'in/gateways.berlin/t.berlin')];
    };
    expect(outcome(1, 3)).toEqual([true, true]);
    expect(outcome(1, 2)).toEqual([false, false]);
    expect(outcome(1, 2, 'ticket 4711')).toEqual([true, true]);
    expect(outcome(3, 2)).toEqual([true, true]);
    for (const from of [0, 1, 2, 3]) expect(outcome(from, 0, 'ticket 4711')).toEqual([false, false]);
  });

  it('6. a conduit is for its initiator: replies are implied, and nobody may call back', () => {
    const { reaches, may } = world([sensors(), gateways()]);
    expect([reaches(SENSOR, GATEWAY), reaches(GATEWAY, SENSOR)]).toEqual([true, false]);
    expect(may('subscribe', 'in/gateways.berlin/t.berlin')).toBe(false);
    expect(may('publish', 'dt/sensors.berlin/t.berlin/x', 'gateways.berlin')).toBe(false);
    expect(may('subscribe', 'dt/sensors.berlin/#', 'gateways.berlin')).toBe(false);
  });

  it('7. what cannot be enforced is said with what it affects, never taken in silence', () => {
    const bare = sensors({ workloads: [] });
    const { model } = world([bare, gateways()]);
    const status = statusOf(model, bare);
    expect(said(status, 'GapsPresent')).toBe('True');
    expect(status.gaps).toContainEqual(
      expect.objectContaining({
        surface: 'network',
        reason: 'NoWorkloads',
        affects: expect.stringContaining('conduit up to berlin/gateways'),
      }),
    );
  });

  it('8. deleting a policy opens nothing', () => {
    const before = world([sensors(), gateways()]);
    const after = world([gateways()]);
    const { kept } = planNetworkPolicies({
      segment: { name: 'sensors', namespace: 'berlin' },
      desired: [],
      actual: before.network
        .filter(({ metadata }) => metadata.labels?.['hedgerow.dev/segment'] === 'sensors')
        .map(({ metadata, spec }) => ({
          ...{ key: `berlin/${metadata.name}`, uid: 'u', resourceVersion: '1', name: metadata.name, namespace: 'berlin' },
          ours: {
            segment: 'sensors',
            role: metadata.name.endsWith('-deny') ? ('deny' as const) : ('allow-out' as const),
            labels: {},
            annotations: {},
          },
          ...{ podSelector: spec.podSelector ?? {}, spec, opens: { ingress: false, egress: false } },
        })),
      podsMatch: (selector) => [SENSOR, GATEWAY, STRANGER].some(({ labels }) => isSelected(selector, labels)),
      siteDenied: false,
    });
    const left = before.network.filter(({ metadata }) => kept.includes(metadata.name));
    for (const from of [SENSOR, GATEWAY, STRANGER])
      for (const to of [SENSOR, GATEWAY, STRANGER])
        if (from !== to && after.reaches(from, to, 443, left))
          expect([from.name, to.name, before.reaches(from, to)]).toEqual([from.name, to.name, true]);
    for (const topic of ['dt/sensors.berlin/t.berlin/x', 'in/gateways.berlin/t.berlin'])
      expect([before.may('publish', topic), after.may('publish', topic)]).toEqual([true, false]);
  });
});
