import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec, SegmentPolicyStatus } from '../api/segment-policy.ts';
import { networkNotProbed, notProbed } from '../probe/probe.ts';
import { membershipOf } from './membership.ts';
import { buildModel, type Model, type PolicyFacts, rightsOf } from './model.ts';
import { networkPoliciesOf } from './networkpolicy.ts';
import { summarise } from './summary.ts';
import { fleet, NOW, PODS, policyOf } from './testing/fleet.ts';

const PORTS = [{ protocol: 'TCP' as const, port: 443 }];
const BROKER = { port: 8883, peers: [] };
const modelOf = (policies: readonly PolicyFacts[], maxTrust = 3): Model =>
  buildModel({
    policies,
    maxTrust: () => maxTrust,
    pods: (namespace) => PODS.filter((pod) => pod.namespace === namespace),
    now: NOW,
  });
/** The same policy with a text that is only audited; what was enforced before is what its status remembers. */
const audited = (policy: PolicyFacts, change: Partial<SegmentPolicySpec> = {}): PolicyFacts => ({
  ...policy,
  generation: 2,
  spec: { ...policy.spec, ...change, mode: 'Audit' },
  lastGood: { generation: 1, spec: policy.spec },
});
const inForce = (model: Model) => ({
  rights: rightsOf(model),
  network: [...model.verdicts.values()].map(({ segment, shut }) => [segment && networkPoliciesOf(segment, model, BROKER), shut]),
});

const sensors = policyOf('sensors', 'berlin', {
  workloads: [{ podSelector: { matchLabels: { app: 'a' } } }],
  topics: { publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }] },
  conduits: [{ name: 'up', to: { segment: 'gateways' }, ports: PORTS }],
});
const gateways = policyOf('gateways', 'berlin', {
  trust: 3,
  workloads: [{ podSelector: { matchLabels: { app: 'b' } } }],
  acceptFrom: [{ segment: 'sensors', ports: PORTS }],
});

describe('mode: Audit', () => {
  it('of a policy that was never enforced applies nothing: no rights, no NetworkPolicies, and its pods are as they were', () => {
    const model = modelOf([{ ...sensors, spec: { ...sensors.spec, mode: 'Audit' } }, gateways]);
    expect(model.verdicts.get('berlin/sensors')).toMatchObject({ audited: true, refused: [], shut: [] });
    expect(inForce(model)).toEqual(inForce({ ...modelOf([gateways]), verdicts: model.verdicts }));
    expect(rightsOf(model).map(({ segment }) => segment)).toEqual(['gateways.berlin']);
  });

  it('reports what it would do', () => {
    const { trial } = modelOf([{ ...sensors, spec: { ...sensors.spec, mode: 'Audit' } }, gateways]);
    expect(trial?.verdicts.get('berlin/sensors')?.segment?.outgoing.map(({ to }) => to)).toEqual(['berlin/gateways']);
  });

  it('of two policies that need each other shows both as if they were enforced', () => {
    const both = [sensors, gateways].map((policy) => ({ ...policy, spec: { ...policy.spec, mode: 'Audit' as const } }));
    const model = modelOf(both);
    expect(model.trial?.verdicts.get('berlin/sensors')?.missing).toEqual([]);
    expect(rightsOf(model)).toEqual([]);
  });

  it('that follows Enforce changes nothing that is in force, whatever the new text says', () => {
    fc.assert(
      fc.property(fleet, fleet, fc.nat(5), (policies, others, at) => {
        fc.pre(policies.length > 0 && others.length > 0);
        const i = at % policies.length;
        const policy = policies[i] ?? sensors;
        const text = others[at % others.length]?.spec ?? {};
        // What was refused was never remembered.
        fc.pre((policy.spec.trust ?? 2) <= 3);
        const after = modelOf(policies.with(i, audited(policy, text)));
        expect(inForce(after)).toEqual(inForce(modelOf(policies)));
      }),
      { numRuns: 300 },
    );
  });

  it('when the namespace allows less trust than was enforced, the pods of that text are shut', () => {
    const model = modelOf([audited({ ...sensors, spec: { ...sensors.spec, trust: 3 } }, { trust: 1 })], 1);
    expect(model.verdicts.get('berlin/sensors')).toMatchObject({ shut: [{ matchLabels: { app: 'a' } }], refused: [] });
  });

  it('nothing leads to a policy that is only audited', () => {
    const model = modelOf([sensors, { ...gateways, spec: { ...gateways.spec, mode: 'Audit' } }]);
    expect(model.verdicts.get('berlin/sensors')?.missing.map(({ code }) => code)).toEqual(['HR-SEG-012']);
  });

  it('a status that remembers an audited text as enforced is not believed', () => {
    const forged: PolicyFacts = { ...audited(sensors), lastGood: { generation: 1, spec: { ...sensors.spec, mode: 'Audit' } } };
    expect(rightsOf(modelOf([forged]))).toEqual([]);
  });

  it('its devices hear that nothing of it is in force', () => {
    const verdict = modelOf([{ ...sensors, spec: { ...sensors.spec, mode: 'Audit' } }]).verdicts.get('berlin/sensors');
    expect(membershipOf('berlin/sensors', verdict)).toMatchObject({ status: 'False', reason: 'SegmentAudited' });
  });
});

describe('the status of an audited policy', () => {
  const statusOf = (policy: PolicyFacts, others: PolicyFacts[], status?: SegmentPolicyStatus): SegmentPolicyStatus => {
    const model = modelOf([policy, ...others]);
    const verdict = model.verdicts.get(policy.key);
    const compiled = model.trial?.verdicts.get(policy.key);
    if (verdict === undefined || compiled === undefined) throw new Error('no verdict');
    return summarise({
      ...{ generation: policy.generation, spec: policy.spec, status, verdict, compiled },
      ...{
        network: { policies: 3 },
        excluded: undefined,
        probe: notProbed(),
        networkProbe: networkNotProbed(),
        gateway: 'none',
        devices: 0,
        enrollment: undefined,
        pods: 0,
        gaps: [],
        reach: { pairs: 0, added: 0, removed: 0, modelDigest: '' },
        now: '2026-11-26T00:00:00Z',
      },
    });
  };
  const said = (status: SegmentPolicyStatus, type: string) => {
    const found = status.conditions?.find((condition) => condition.type === type);
    return found && [found.status, found.reason];
  };

  it('says that it is compiled and not enforced, and counts what there would be', () => {
    const status = statusOf({ ...sensors, spec: { ...sensors.spec, mode: 'Audit' } }, [gateways]);
    expect([said(status, 'Compiled'), said(status, 'Enforced'), said(status, 'Ready')]).toEqual([
      ['True', 'Compiled'],
      ['False', 'AuditOnly'],
      ['True', 'Audited'],
    ]);
    expect(status.counts).toMatchObject({ conduits: 1, brokerRules: 1, networkPolicies: 3 });
    expect(status.accepted).toBeUndefined();
  });

  it('keeps what was enforced last, so that it stays in force', () => {
    const accepted = { generation: 1, spec: sensors.spec };
    const status = statusOf(audited(sensors, { conduits: [] }), [gateways], { accepted });
    expect(status.accepted).toEqual(accepted);
    expect(status.conditions?.find(({ type }) => type === 'Enforced')?.message).toContain('generation 1 stays in force');
  });

  it('is not Ready when something would be missing', () => {
    const status = statusOf({ ...sensors, spec: { ...sensors.spec, mode: 'Audit' } }, []);
    expect([said(status, 'Ready'), said(status, 'Reconciling')]).toEqual([
      ['False', 'PeerNotFound'],
      ['True', 'PeerNotFound'],
    ]);
  });
});
