import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ActualPolicy, actualPolicy } from './actual-policy.ts';
import { buildModel, type PolicyFacts } from './model.ts';
import { denyPolicy, type NetworkPolicy, networkPoliciesOf } from './networkpolicy.ts';
import { type Plan, planNetworkPolicies } from './plan.ts';
import { allows, isSelected } from './testing/evaluate.ts';
import { CONNECTIONS, fleet, NOW, PODS, policyOf } from './testing/fleet.ts';

const BROKER = { port: 8883, peers: [{ cidr: '192.0.2.1/32' }] };
type World = Map<string, NetworkPolicy>;

/** What the API server would hold and the cache would show. */
const shown = (world: World): ActualPolicy[] =>
  [...world.values()].map((policy) => actualPolicy({ ...policy, metadata: { ...policy.metadata, uid: policy.metadata.name } }));

function planFor(policies: readonly PolicyFacts[], key: string, world: World, pods = PODS): Plan {
  const [namespace = '', name = ''] = key.split('/');
  const inside = (ns: string) => pods.filter((pod) => pod.namespace === ns);
  const model = buildModel({ policies, maxTrust: () => 3, pods: inside, now: NOW });
  const verdict = model.verdicts.get(key);
  const desired =
    verdict?.segment === undefined
      ? (verdict?.shut ?? []).map((selector) => denyPolicy(namespace, name, selector))
      : networkPoliciesOf(verdict.segment, model, BROKER);
  return planNetworkPolicies({
    segment: { name, namespace },
    desired,
    actual: shown(world).filter((policy) => policy.namespace === namespace),
    podsMatch: (selector) => inside(namespace).some((pod) => isSelected(selector, pod.labels)),
    siteDenied: false,
  });
}

/** Carries the steps out one at a time and calls `seen` after each. */
function carryOut(plan: Plan, world: World, seen: () => void = () => undefined): void {
  for (const step of plan.steps) {
    if (step.do === 'apply') world.set(`${step.policy.metadata.namespace}/${step.policy.metadata.name}`, step.policy);
    else world.delete(`${step.namespace}/${step.name}`);
    seen();
  }
}

const open = (world: World): Set<string> =>
  new Set(
    CONNECTIONS.filter((connection) => allows([...world.values()], connection)).map(
      ({ from, to, port }) => `${from.name} ${to.name} ${port}`,
    ),
  );
const KEYS = ['berlin', 'paris'].flatMap((namespace) => ['sensors', 'gateways', 'doors'].map((name) => `${namespace}/${name}`));
const settle = (policies: readonly PolicyFacts[], world: World, keys: readonly string[] = KEYS): World => {
  for (const key of keys) carryOut(planFor(policies, key, world), world);
  return world;
};

const one = policyOf('sensors', 'berlin', { intraSegment: 'Allow', workloads: [{ podSelector: { matchLabels: { app: 'a' } } }] });
const roles = (plan: Plan) =>
  plan.steps.map((step) => [step.do, (step.do === 'apply' ? step.policy.metadata.name : step.name).replace(/^.*-[0-9a-f]{10}-/, '')]);

describe('the order of the steps', () => {
  it('a new segment is shut before anything is allowed', () => {
    expect(roles(planFor([one], 'berlin/sensors', new Map()))).toEqual([
      ['apply', 'deny'],
      ['apply', 'allow-in'],
      ['apply', 'allow-out'],
    ]);
  });

  it('nothing is done when all is as it should be', () => {
    const world = settle([one], new Map());
    expect(planFor([one], 'berlin/sensors', world)).toEqual({ steps: [], kept: [] });
  });

  it('when the policy is gone what it allowed goes, and its pods stay shut', () => {
    const world = settle([one], new Map());
    const plan = planFor([], 'berlin/sensors', world);
    expect(roles(plan)).toEqual([
      ['delete', 'allow-in'],
      ['delete', 'allow-out'],
    ]);
    expect(plan.kept).toHaveLength(1);
  });

  it('the deny goes when no pod matches it any more', () => {
    const world = settle([one], new Map());
    const plan = planFor([], 'berlin/sensors', world, []);
    expect(roles(plan).at(-1)).toEqual(['delete', 'deny']);
    expect(plan.kept).toEqual([]);
  });

  it('the deny of pods that left the segment by an edit stays as well', () => {
    const world = settle([one], new Map());
    const edited = { ...one, spec: { ...one.spec, workloads: [{ podSelector: { matchLabels: { app: 'b' } } }] } };
    expect(planFor([edited], 'berlin/sensors', world).kept).toHaveLength(1);
  });

  it('a deny that somebody opened after its policy was deleted is emptied again', () => {
    const world = settle([one], new Map());
    carryOut(planFor([], 'berlin/sensors', world), world);
    const [deny] = [...world.values()];
    if (deny === undefined) throw new Error('the deny is gone');
    world.set(`berlin/${deny.metadata.name}`, { ...deny, spec: { ...deny.spec, ingress: [{}], egress: [{}] } });
    expect(roles(planFor([], 'berlin/sensors', world))).toEqual([['apply', 'deny']]);
  });

  it.each<[string, (policy: NetworkPolicy) => NetworkPolicy, string]>([
    ['a rule that somebody added is repaired', (policy) => ({ ...policy, spec: { ...policy.spec, ingress: [{}] } }), 'edited'],
    [
      'a selector that somebody changed is repaired',
      (policy) => ({ ...policy, spec: { ...policy.spec, podSelector: { matchLabels: { app: 'z' } } } }),
      'edited',
    ],
    [
      'a direction that somebody took away is repaired',
      (policy) => ({ ...policy, spec: { ...policy.spec, policyTypes: ['Ingress'] } }),
      'edited',
    ],
    ['labels that somebody took away are repaired', (policy) => ({ ...policy, metadata: { ...policy.metadata, labels: {} } }), 'edited'],
    [
      'a policy of an older text is changed',
      (policy) => ({ ...policy, metadata: { ...policy.metadata, annotations: { 'hedgerow.dev/spec-hash': '0' } } }),
      'changed',
    ],
  ])('%s', (_name, change, why) => {
    const world = settle([one], new Map());
    const [id, deny] = [...world].find(([name]) => name.endsWith('-deny')) ?? [];
    if (id === undefined || deny === undefined) throw new Error('no deny');
    world.set(id, change(deny));
    expect(planFor([one], 'berlin/sensors', world).steps).toMatchObject([{ do: 'apply', why }]);
  });

  it('a policy of somebody else in the same namespace is left alone', () => {
    const world = settle([one], new Map());
    const foreign = { ...denyPolicy('berlin', 'sensors', { matchLabels: { app: 'q' } }) };
    world.set('berlin/theirs', {
      ...foreign,
      metadata: { name: 'theirs', namespace: 'berlin', labels: { 'hedgerow.dev/segment': 'sensors' } },
    });
    expect(planFor([], 'berlin/sensors', world).steps.some((step) => step.do === 'delete' && step.name === 'theirs')).toBe(false);
  });
});

describe('properties of every way from one state to the next', () => {
  const shuffledKeys = fc.shuffledSubarray(KEYS, { minLength: KEYS.length, maxLength: KEYS.length });

  it('deleting policies opens nothing, at no step', () => {
    fc.assert(
      fc.property(fleet, fc.nat(63), shuffledKeys, (policies, mask, keys) => {
        const world = settle(policies, new Map());
        const rest = policies.filter((_, i) => (mask & (1 << i)) === 0);
        // A conflict that ends gives back what it took: that is no deletion's doing, see the next property.
        const conflicts = buildModel({ policies, maxTrust: () => 3, pods: (ns) => PODS.filter((pod) => pod.namespace === ns), now: NOW });
        if ([...conflicts.verdicts.values()].some(({ conflictsWith }) => conflictsWith.length > 0)) return;
        let before = open(world);
        for (const key of keys) {
          carryOut(planFor(rest, key, world), world, () => {
            const now = open(world);
            for (const connection of now) if (!before.has(connection)) expect.fail(`${connection} was opened on the way`);
            before = now;
          });
        }
      }),
      { numRuns: 200 },
    );
  });

  it('between any two states nothing is open that neither of them allows', () => {
    fc.assert(
      fc.property(fleet, fleet, shuffledKeys, (from, to, keys) => {
        const world = settle(from, new Map());
        const before = open(world);
        const after = open(settle(to, new Map(world)));
        for (const key of keys) {
          carryOut(planFor(to, key, world), world, () => {
            for (const connection of open(world))
              if (!before.has(connection) && !after.has(connection)) expect.fail(`${connection} is open in between`);
          });
        }
        expect(open(world)).toEqual(after);
      }),
      { numRuns: 200 },
    );
  });

  it('a second look finds nothing to do', () => {
    fc.assert(
      fc.property(fleet, (policies) => {
        const world = settle(policies, new Map());
        for (const key of KEYS) expect(planFor(policies, key, world).steps).toEqual([]);
      }),
    );
  });
});
