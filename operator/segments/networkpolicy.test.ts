import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildModel, type Model, type PolicyFacts } from './model.ts';
import { type BrokerAccess, denyPolicy, type NetworkPolicy, nameOf, networkPoliciesOf } from './networkpolicy.ts';
import { allows } from './testing/evaluate.ts';
import { CONNECTIONS, fleet, mayReach, NOW, PODS, policyOf } from './testing/fleet.ts';

const BROKER: BrokerAccess = { port: 8883, peers: [{ namespace: 'emqx', podLabels: { app: 'emqx' } }] };
const modelOf = (policies: readonly PolicyFacts[]): Model =>
  buildModel({ policies, maxTrust: () => 3, pods: (namespace) => PODS.filter((pod) => pod.namespace === namespace), now: NOW });
const emit = (policies: readonly PolicyFacts[], broker = BROKER): NetworkPolicy[] => {
  const model = modelOf(policies);
  return [...model.verdicts.values()].flatMap(({ segment, shut, key }) => {
    const [namespace = '', name = ''] = key.split('/');
    return segment === undefined
      ? shut.map((selector) => denyPolicy(namespace, name, selector))
      : networkPoliciesOf(segment, model, broker);
  });
};

const workloads = (app: string) => [{ podSelector: { matchLabels: { app } } }];
const PORT = [{ protocol: 'TCP' as const, port: 8883 }];
const pair = [
  policyOf('sensors', 'berlin', {
    workloads: workloads('a'),
    conduits: [{ name: 'up', to: { namespace: 'paris', segment: 'gateways' }, ports: PORT }],
  }),
  policyOf('gateways', 'paris', {
    trust: 3,
    workloads: workloads('b'),
    acceptFrom: [{ namespace: 'berlin', segment: 'sensors', ports: PORT }],
  }),
];
const find = (policies: NetworkPolicy[], namespace: string, role: string): NetworkPolicy => {
  const found = policies.find(({ metadata }) => metadata.namespace === namespace && metadata.name.endsWith(role));
  if (found === undefined) throw new Error(`no ${role} in ${namespace}`);
  return found;
};

describe('what a segment becomes', () => {
  it('a deny in both directions that selects its pods and nothing else', () => {
    expect(find(emit(pair), 'berlin', '-deny').spec).toEqual({
      podSelector: { matchLabels: { app: 'a' } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [],
      egress: [],
    });
  });

  it('egress to DNS, to the broker and along its conduits, and to nobody else', () => {
    const dns = {
      to: [
        {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
          podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
        },
      ],
      ports: [
        { protocol: 'UDP', port: 53 },
        { protocol: 'TCP', port: 53 },
      ],
    };
    const broker = {
      to: [
        { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'emqx' } }, podSelector: { matchLabels: { app: 'emqx' } } },
      ],
      ports: [{ protocol: 'TCP', port: 8883 }],
    };
    const conduit = {
      to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'paris' } }, podSelector: { matchLabels: { app: 'b' } } }],
      ports: [{ protocol: 'TCP', port: 8883 }],
    };
    expect(find(emit(pair), 'berlin', '-allow-out').spec.egress).toEqual([dns, broker, conduit]);
  });

  it('ingress from the pods of the other namespace, and only those', () => {
    expect(find(emit(pair), 'paris', '-allow-in').spec).toEqual({
      podSelector: { matchLabels: { app: 'b' } },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [
            { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'berlin' } }, podSelector: { matchLabels: { app: 'a' } } },
          ],
          ports: [{ protocol: 'TCP', port: 8883 }],
        },
      ],
      egress: [],
    });
  });

  it('no ingress policy where nothing may come in', () => {
    expect(
      emit(pair)
        .filter(({ metadata }) => metadata.namespace === 'berlin')
        .map(({ metadata }) => metadata.name),
    ).toHaveLength(2);
  });

  it('addresses outside by their range', () => {
    const [policy] = [
      policyOf('sensors', 'berlin', {
        workloads: workloads('a'),
        conduits: [{ name: 'ntp', to: { cidr: '192.0.2.0/24' }, ports: [{ protocol: 'UDP', port: 123 }] }],
      }),
    ];
    expect(find(emit(policy === undefined ? [] : [policy]), 'berlin', '-allow-out').spec.egress?.at(-1)).toEqual({
      to: [{ ipBlock: { cidr: '192.0.2.0/24' } }],
      ports: [{ protocol: 'UDP', port: 123 }],
    });
  });

  it('no way to the broker while nobody said where it is: a rule without a destination would open the port to the world', () => {
    const [first] = pair;
    const policies = emit(first === undefined ? [] : [first], { port: 8883, peers: [] });
    expect(find(policies, 'berlin', '-allow-out').spec.egress).toHaveLength(1);
  });

  it('nothing for a segment without pods', () => {
    expect(emit([policyOf('sensors', 'berlin', {})])).toEqual([]);
  });

  it('nothing towards a segment without pods: an empty list of peers would mean everybody', () => {
    const [sensors] = pair;
    const silent = policyOf('gateways', 'paris', { trust: 3, acceptFrom: [{ namespace: 'berlin', segment: 'sensors', ports: PORT }] });
    expect(find(emit(sensors === undefined ? [] : [sensors, silent]), 'berlin', '-allow-out').spec.egress).toHaveLength(2);
  });

  it('names fit a label whatever the names of segment and namespace are', () => {
    const name = nameOf('n'.repeat(62), `${'s'.repeat(61)}x`, { matchLabels: { app: 'a' } }, 'allow-out');
    expect(name.length).toBeLessThanOrEqual(63);
    expect(name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
  });
});

describe('properties over random fleets', () => {
  it('a connection between pods is allowed exactly when it is granted', () => {
    let open = 0;
    fc.assert(
      fc.property(fleet, (policies) => {
        const emitted = emit(policies);
        for (const connection of CONNECTIONS) {
          const expected = mayReach(policies, connection);
          if (expected && policies.length > 1) open++;
          if (allows(emitted, connection) !== expected)
            expect.fail(`${connection.from.name} -> ${connection.to.name}:${connection.port} should be ${expected ? 'allowed' : 'denied'}`);
        }
      }),
      { numRuns: 300 },
    );
    // The property would be empty if nothing were ever granted.
    expect(open).toBeGreaterThan(100);
  });

  it('the order of manifests, conduits, entries and ports changes nothing', () => {
    const shuffled = (policies: PolicyFacts[]): PolicyFacts[] =>
      [...policies].reverse().map((policy) => ({
        ...policy,
        spec: {
          ...policy.spec,
          conduits: [...(policy.spec.conduits ?? [])].reverse().map((conduit) => ({ ...conduit, ports: [...conduit.ports].reverse() })),
          acceptFrom: [...(policy.spec.acceptFrom ?? [])].reverse(),
          workloads: [...(policy.spec.workloads ?? [])].reverse(),
        },
      }));
    fc.assert(
      fc.property(fleet, (policies) => {
        expect(JSON.stringify(emit(shuffled(policies)))).toBe(JSON.stringify(emit(policies)));
      }),
    );
  });

  it('names are unique, and no rule is without peers', () => {
    fc.assert(
      fc.property(fleet, (policies) => {
        const emitted = emit(policies);
        const names = emitted.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
        expect(new Set(names).size).toBe(names.length);
        for (const { spec } of emitted) {
          for (const rule of spec.ingress ?? []) expect(rule.from?.length).toBeGreaterThan(0);
          for (const rule of spec.egress ?? []) expect(rule.to?.length).toBeGreaterThan(0);
        }
      }),
    );
  });

  it('a further conduit never takes reach away', () => {
    fc.assert(
      fc.property(fleet, fc.nat(5), (policies, at) => {
        const changed = policies.map((policy, i) =>
          i === at ? { ...policy, spec: { ...policy.spec, conduits: (policy.spec.conduits ?? []).slice(1) } } : policy,
        );
        const [fewer, all] = [emit(changed), emit(policies)];
        for (const connection of CONNECTIONS) if (allows(fewer, connection)) expect(allows(all, connection)).toBe(true);
      }),
    );
  });
});
