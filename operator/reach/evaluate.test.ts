import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reachDiffText, reachOf, reachText } from './reach.ts';

type Spec = Record<string, unknown>;
const pod = (name: string, labels: Record<string, string> = { app: name }, rest: Spec = {}, namespace = 'x'): Spec => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels },
  spec: { containers: [{ name: 'c' }], ...rest },
});
const policy = (spec: Spec, name = 'p', namespace = 'x'): Spec => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name, namespace },
  spec,
});
const worldOf = (...objects: unknown[]) => reachOf(objects.map((object) => ({ source: 'test', object })));
const app = (name: string): Spec => ({ podSelector: { matchLabels: { app: name } } });
/** The line about two pods of namespace x, or `-`. */
function between(from: string, to: string, ...objects: unknown[]): string {
  const line = reachText(worldOf(pod('a'), pod('b'), pod('c', { app: 'c', tier: 'back' }), ...objects))
    .split('\n')
    .find((one) => one.startsWith(`${from} => ${to} : `));
  return line?.slice(line.indexOf(' : ') + 3) ?? '-';
}
const A = 'x/a[Pod]';
const B = 'x/b[Pod]';
const C = 'x/c[Pod]';
const WORLD = '0.0.0.0-255.255.255.255[External]';

describe('a NetworkPolicy', () => {
  const toB = (spec: Spec) => policy({ ...app('b'), ...spec });

  it.each<[string, string, string, Spec[], string]>([
    ['without any, everybody may connect to everybody', A, B, [], 'All Connections'],
    ['isolates whom it selects, even without rules', A, B, [toB({})], '-'],
    ['leaves the others as they are', A, C, [toB({})], 'All Connections'],
    ['isolates in the other direction only when it says so', B, A, [toB({})], 'All Connections'],
    ['with policyTypes Egress does not isolate against who comes', A, B, [toB({ policyTypes: ['Egress'] })], 'All Connections'],
    ['with policyTypes Egress isolates who goes', B, A, [toB({ policyTypes: ['Egress'] })], '-'],
    ['has an egress direction when it has egress rules', B, A, [toB({ egress: [{ to: [app('c')] }] })], '-'],
    ['with egress rules and no types is one of ingress too', A, B, [toB({ egress: [{}] })], '-'],
    ['with an empty list of egress rules and no types has no egress direction', B, A, [toB({ egress: [] })], 'All Connections'],
    ['with an empty rule allows everybody', A, B, [toB({ ingress: [{}] })], 'All Connections'],
    ['with an empty list of peers allows everybody', A, B, [toB({ ingress: [{ from: [] }] })], 'All Connections'],
    ['with an empty list of rules allows nobody', A, B, [toB({ ingress: [] })], '-'],
    ['allows whom it names', A, B, [toB({ ingress: [{ from: [app('a')] }] })], 'All Connections'],
    ['does not allow another', C, B, [toB({ ingress: [{ from: [app('a')] }] })], '-'],
    ['with an empty pod selector selects all pods of its namespace', A, C, [policy({ podSelector: {} })], '-'],
    ['of another namespace selects nobody here', A, B, [policy({ podSelector: {} }, 'p', 'y')], 'All Connections'],
    ['adds up with others', A, B, [toB({}), policy({ ...app('b'), ingress: [{ from: [app('a')] }] }, 'q')], 'All Connections'],
    [
      'needs both ends: egress of the one and ingress of the other',
      A,
      B,
      [
        policy({ ...app('a'), egress: [{ ports: [{ port: 80 }, { port: 81 }] }], policyTypes: ['Egress'] }),
        policy({ ...app('b'), ingress: [{ ports: [{ port: 81 }, { port: 82 }] }] }, 'q'),
      ],
      'TCP 81',
    ],
    [
      'two selectors in one entry must both fit',
      A,
      B,
      [toB({ ingress: [{ from: [{ ...app('a'), namespaceSelector: { matchLabels: { team: 'z' } } }] }] })],
      '-',
    ],
    [
      'two entries are alternatives',
      A,
      B,
      [toB({ ingress: [{ from: [app('a'), { namespaceSelector: { matchLabels: { team: 'z' } } }] }] })],
      'All Connections',
    ],
    [
      'knows a namespace by its name, as the API server labels it',
      A,
      B,
      [toB({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'x' } } }] }] })],
      'All Connections',
    ],
    [
      'knows a namespace by its labels and by its name at once',
      A,
      B,
      [
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x', labels: { team: 'z' } } },
        toB({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'x', team: 'z' } } }] }] }),
      ],
      'All Connections',
    ],
    ['an ipBlock does not mean pods', A, B, [toB({ ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }] })], '-'],
    ['a port without protocol is one of TCP', A, B, [toB({ ingress: [{ ports: [{ port: 80 }] }] })], 'TCP 80'],
    ['a protocol without port is every port of it', A, B, [toB({ ingress: [{ ports: [{ protocol: 'UDP' }] }] })], 'UDP 1-65535'],
    ['endPort is included', A, B, [toB({ ingress: [{ ports: [{ port: 80, endPort: 82 }] }] })], 'TCP 80-82'],
    [
      'matchExpressions: In',
      C,
      B,
      [toB({ ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'tier', operator: 'In', values: ['front', 'back'] }] } }] }] })],
      'All Connections',
    ],
    [
      'matchExpressions: NotIn fits who has no such label',
      A,
      B,
      [toB({ ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['back'] }] } }] }] })],
      'All Connections',
    ],
    [
      'matchExpressions: NotIn does not fit who has it',
      C,
      B,
      [toB({ ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['back'] }] } }] }] })],
      '-',
    ],
    [
      'matchExpressions: Exists',
      A,
      B,
      [toB({ ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] } }] }] })],
      '-',
    ],
    [
      'matchExpressions: DoesNotExist',
      A,
      B,
      [toB({ ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] } }] }] })],
      'All Connections',
    ],
  ])('%s', (_name, from, to, objects, expected) => expect(between(from, to, ...objects)).toBe(expected));

  const served = {
    containers: [
      {
        name: 'c',
        ports: [
          { name: 'web', containerPort: 8080 },
          { name: 'dns', containerPort: 53, protocol: 'UDP' },
        ],
      },
    ],
  };
  const named = (port: string, protocol: string) => policy({ ...app('d'), ingress: [{ ports: [{ port, protocol }] }] });
  it.each([
    ['is the port of the pod that is connected to', named('web', 'TCP'), 'TCP 8080'],
    ['in another protocol is nothing', named('web', 'UDP'), '-'],
    ['is looked up with its protocol', named('dns', 'UDP'), 'UDP 53'],
    ['that the pod does not have is nothing', named('admin', 'TCP'), '-'],
    [
      'in an egress rule is the port of the target too',
      policy({ ...app('a'), egress: [{ ports: [{ port: 'web' }] }], policyTypes: ['Egress'] }),
      'TCP 8080',
    ],
  ])('a named port %s', (_name, object, expected) => expect(between(A, 'x/d[Pod]', pod('d', { app: 'd' }, served), object)).toBe(expected));

  it('a named port means nothing outside the cluster', () =>
    expect(between(A, WORLD, policy({ ...app('a'), egress: [{ ports: [{ port: 'web' }] }], policyTypes: ['Egress'] }))).toBe('-'));

  it('cuts the outside where its blocks do, exceptions included', () => {
    const text = reachText(worldOf(pod('b'), toB({ ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }] })));
    expect(text.split('\n').filter((line) => line.includes(`=> ${B}`))).toEqual([
      '10.0.0.0-10.0.255.255[External] => x/b[Pod] : All Connections',
      '10.2.0.0-10.255.255.255[External] => x/b[Pod] : All Connections',
    ]);
  });

  it('that speaks of IPv6 brings the outside of IPv6 into the list, and does not open it for others', () => {
    const text = reachText(worldOf(pod('b'), toB({ ingress: [{ from: [{ ipBlock: { cidr: '2001:db8::/32' } }] }] })));
    expect(text.split('\n').filter((line) => line.includes(`=> ${B}`))).toEqual([
      '2001:db8:0:0:0:0:0:0-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff[External] => x/b[Pod] : All Connections',
    ]);
  });
});

describe('what cannot be evaluated', () => {
  it.each<[string, Spec, RegExp]>([
    ['a policy with a misspelt field', policy({ podSelector: {}, ingress: [{ form: [] }] }), /unknown field "form"/],
    [
      'a policy with a CIDR that is none',
      policy({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0' } }] }] }),
      /ipBlock\.cidr is no CIDR/,
    ],
    [
      'an exception outside its block',
      policy({ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/8'] } }] }] }),
      /except lies outside/,
    ],
    ['a peer that names nobody', policy({ podSelector: {}, ingress: [{ from: [{}] }] }), /names nobody/],
    [
      'a peer that is both',
      policy({ podSelector: {}, ingress: [{ from: [{ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }] }] }),
      /only one of them/,
    ],
    ['a protocol that is none', policy({ podSelector: {}, ingress: [{ ports: [{ protocol: 'ICMP' }] }] }), /none of TCP, UDP, SCTP/],
    ['an endPort below the port', policy({ podSelector: {}, ingress: [{ ports: [{ port: 80, endPort: 79 }] }] }), /endPort/],
    [
      'an operator that is none',
      policy({ podSelector: { matchExpressions: [{ key: 'a', operator: 'in', values: ['b'] }] } }),
      /no operator/,
    ],
    ['another policy type', policy({ podSelector: {}, policyTypes: ['Forward'] }), /neither Ingress nor Egress/],
    [
      'policies of another group',
      { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy', metadata: { name: 'n' } },
      /not evaluated/,
    ],
    ['a workload without template', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' }, spec: {} }, /no pod template/],
  ])('%s is named', (_name, object, expected) => expect(worldOf(object).omitted).toEqual([expect.stringMatching(expected)]));

  it('pods in the network of their node are named, and evaluated like others', () => {
    const world = worldOf(pod('a', {}, { hostNetwork: true }));
    expect([world.hostNetwork, world.omitted]).toEqual([[A], []]);
  });

  it('never throws, whatever the objects are', () => {
    const json = fc.jsonValue({ maxDepth: 4 });
    const manifest = fc.record(
      {
        apiVersion: fc.constantFrom('v1', 'networking.k8s.io/v1', 'apps/v1'),
        kind: fc.constantFrom('Pod', 'NetworkPolicy', 'Deployment', 'Namespace', 'PodList', 'List'),
        metadata: json,
        spec: json,
        items: json,
      },
      { requiredKeys: ['kind'] },
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(json, manifest), { maxLength: 5 }), (objects) => void reachText(worldOf(...objects))),
      { numRuns: 1000 },
    );
  });
});

describe('any set of policies', () => {
  const NAMES = ['a', 'b', 'c'];
  const peer = fc.oneof(
    fc.constantFrom(...NAMES).map(app),
    fc.constant({ namespaceSelector: {} }),
    fc.constant({ ipBlock: { cidr: '10.0.0.0/8' } }),
  );
  const rule = fc.record({
    from: fc.array(peer, { maxLength: 2 }),
    ports: fc.array(
      fc.integer({ min: 1, max: 4 }).map((port) => ({ port })),
      { maxLength: 2 },
    ),
  });
  const one = fc.record({
    podSelector: fc.constantFrom(...NAMES.map((name) => app(name).podSelector), {}),
    ingress: fc.array(rule, { maxLength: 2 }),
  });
  const many = fc.array(one, { maxLength: 4 }).map((specs) => specs.map((spec, at) => policy(spec, `p${at}`)));
  const PODS = NAMES.map((name) => pod(name));

  it('gives the same answers in any order', () => {
    fc.assert(
      fc.property(
        many.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          expect(reachText(worldOf(...PODS, ...shuffled))).toBe(reachText(worldOf(...shuffled, ...PODS)));
          expect(reachDiffText(worldOf(...PODS, ...list), worldOf(...shuffled, ...PODS))).toBe('');
        },
      ),
    );
  });

  it('loses nothing by one more rule in one of them', () => {
    fc.assert(
      fc.property(many, rule, (list, more) => {
        const wider = list.map((object, at) =>
          at > 0
            ? object
            : { ...object, spec: { ...(object.spec as Spec), ingress: [...((object.spec as Spec).ingress as unknown[]), more] } },
        );
        expect(reachDiffText(worldOf(...PODS, ...list), worldOf(...PODS, ...wider))).not.toMatch(/diff-type: removed/);
      }),
    );
  });

  it('differs backwards as it differs forwards', () => {
    const turned = (text: string): string[] =>
      text
        .split('\n')
        .map((line) =>
          line
            .replace(/ref1: (.*), ref2: ([^,]*(?:,(?! workloads)[^,]*)*)/, 'ref1: $2, ref2: $1')
            .replace(/diff-type: (added|removed)/, (_all, type) => `diff-type: ${type === 'added' ? 'removed' : 'added'}`),
        );
    fc.assert(
      fc.property(many, many, (before, after) => {
        const [there, back] = [
          reachDiffText(worldOf(...PODS, ...before), worldOf(...PODS, ...after)),
          reachDiffText(worldOf(...PODS, ...after), worldOf(...PODS, ...before)),
        ];
        expect(turned(back).sort()).toEqual(there.split('\n').sort());
      }),
    );
  });
});
