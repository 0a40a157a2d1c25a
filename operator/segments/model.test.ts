import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { reasonOf } from './errors.ts';
import { buildModel, type Model, type PolicyFacts, rightsOf } from './model.ts';
import { NOW, policyOf } from './testing/fleet.ts';

type Spec = Partial<SegmentPolicySpec>;
const TLS = [{ protocol: 'TCP' as const, port: 8883 }];
const sensors = (spec: Spec = {}): PolicyFacts =>
  policyOf('sensors', 'berlin', { trust: 2, conduits: [{ name: 'to-gateway', to: { segment: 'gateways' }, ports: TLS }], ...spec });
const gateways = (spec: Spec = {}): PolicyFacts =>
  policyOf('gateways', 'berlin', { trust: 3, acceptFrom: [{ segment: 'sensors', ports: TLS }], ...spec });

const model = (policies: PolicyFacts[], o: { maxTrust?: number; now?: number; pods?: Record<string, string>[] } = {}): Model =>
  buildModel({
    policies,
    maxTrust: () => o.maxTrust ?? 3,
    pods: () => (o.pods ?? []).map((labels) => ({ labels })),
    now: o.now ?? NOW,
  });
const verdict = (built: Model, key = 'berlin/sensors') => {
  const found = built.verdicts.get(key);
  if (found === undefined) throw new Error(`no verdict about ${key}`);
  return found;
};
const flows = (built: Model, key?: string) =>
  verdict(built, key).segment?.outgoing.map(({ to, ports }) => [to, ports.map(({ port }) => port)]);
const missing = (built: Model) => verdict(built).missing.map(({ code }) => reasonOf(code));
const refused = (built: Model, key?: string) => verdict(built, key).refused.map(({ code }) => reasonOf(code));

describe('a flow exists only when both sides grant it', () => {
  it('a port that is written twice, once without its protocol, is one port', () => {
    // As the API server stores it: it fills in nothing inside lists.
    const twice = [{ port: 8883 }, ...TLS] as typeof TLS;
    const conduits = [{ name: 'to-gateway', to: { segment: 'gateways' }, ports: twice }];
    const built = model([sensors({ conduits }), gateways({ acceptFrom: [{ segment: 'sensors', ports: twice }] })]);
    expect(flows(built)).toEqual([['berlin/gateways', [8883]]]);
  });

  const conduit = (change: object) => [{ name: 'to-gateway', to: { segment: 'gateways' }, ports: TLS, ...change }];
  it.each<[string, PolicyFacts[], unknown, string[]]>([
    ['the conduit of one and the acceptFrom of the other make a flow', [sensors(), gateways()], [['berlin/gateways', [8883]]], []],
    ['a conduit that the other side does not accept is none', [sensors(), gateways({ acceptFrom: [] })], [], ['NotAccepted']],
    ['an acceptFrom that nobody asked for is none', [sensors({ conduits: [] }), gateways()], [], []],
    [
      'acceptance of another port is none',
      [sensors(), gateways({ acceptFrom: [{ segment: 'sensors', ports: [{ protocol: 'TCP', port: 443 }] }] })],
      [],
      ['NotAccepted'],
    ],
    [
      'acceptance of another protocol is none',
      [sensors(), gateways({ acceptFrom: [{ segment: 'sensors', ports: [{ protocol: 'UDP', port: 8883 }] }] })],
      [],
      ['NotAccepted'],
    ],
    [
      'of several ports those that both name are in force, the others are named',
      [sensors({ conduits: conduit({ ports: [...TLS, { protocol: 'TCP', port: 80 }] }) }), gateways()],
      [['berlin/gateways', [8883]]],
      ['NotAccepted'],
    ],
    ['a conduit to a segment that does not exist is named', [sensors()], [], ['PeerNotFound']],
    [
      'a segment of the same name in another namespace is another segment',
      [sensors(), policyOf('gateways', 'paris', { trust: 3, acceptFrom: [{ namespace: 'berlin', segment: 'sensors', ports: TLS }] })],
      [],
      ['PeerNotFound'],
    ],
    [
      'across namespaces both sides name the namespace of the other',
      [
        sensors({ conduits: conduit({ to: { namespace: 'paris', segment: 'gateways' } }) }),
        policyOf('gateways', 'paris', { trust: 3, acceptFrom: [{ namespace: 'berlin', segment: 'sensors', ports: TLS }] }),
      ],
      [['paris/gateways', [8883]]],
      [],
    ],
    [
      'acceptFrom without a namespace means the own one, so a namesake elsewhere gets nothing',
      [
        sensors({ conduits: conduit({ to: { namespace: 'paris', segment: 'gateways' } }) }),
        policyOf('gateways', 'paris', { trust: 3, acceptFrom: [{ segment: 'sensors', ports: TLS }] }),
      ],
      [],
      ['NotAccepted'],
    ],
    ['nothing leads to a policy that is not accepted', [sensors(), gateways({ trust: 4 })], [], ['PeerRefused']],
    ['a conduit whose time is over is closed', [sensors({ conduits: conduit({ expires: '2026-11-24T11:59:59Z' }) }), gateways()], [], []],
    ['the instant of the end is over', [sensors({ conduits: conduit({ expires: '2026-11-24T12:00:00Z' }) }), gateways()], [], []],
    ['an end that cannot be read closes', [sensors({ conduits: conduit({ expires: 'tomorrow' }) }), gateways()], [], []],
    ['nobody initiates into trust 0', [sensors(), gateways({ trust: 0 })], [], ['IntoQuarantine']],
    ['trust may rise to a gateway without a reason', [sensors({ trust: 1 }), gateways()], [['berlin/gateways', [8883]]], []],
    ['trust may not rise to anything else without a reason', [sensors({ trust: 1 }), gateways({ trust: 2 })], [], ['JustificationMissing']],
    [
      'blanks are no reason',
      [sensors({ trust: 1, conduits: conduit({ justification: '  ' }) }), gateways({ trust: 2 })],
      [],
      ['JustificationMissing'],
    ],
    [
      'with a reason it may',
      [sensors({ trust: 1, conduits: conduit({ justification: 'ticket 4711' }) }), gateways({ trust: 2 })],
      [['berlin/gateways', [8883]]],
      [],
    ],
    ['trust that falls needs no reason', [sensors({ trust: 3 }), gateways({ trust: 2 })], [['berlin/gateways', [8883]]], []],
  ])('%s', (_name, policies, expected, named) => {
    const built = model(policies);
    expect(flows(built)).toEqual(expected);
    expect(missing(built)).toEqual(named);
  });

  it('the target knows what comes in', () => {
    expect(verdict(model([sensors(), gateways()]), 'berlin/gateways').segment?.incoming.map(({ from }) => from)).toEqual([
      'berlin/sensors',
    ]);
  });

  it('says when the next conduit ends, and at that instant it is gone', () => {
    const end = '2026-12-01T00:00:00Z';
    const policies = [sensors({ conduits: conduit({ expires: end }) }), gateways()];
    const before = model(policies);
    expect(before.nextExpiry).toBe(Date.parse(end));
    expect(flows(before)).toHaveLength(1);
    const after = model(policies, { now: Date.parse(end) });
    expect([flows(after), after.nextExpiry, verdict(after).expired]).toEqual([[], undefined, ['to-gateway']]);
  });
});

describe('what a policy may say', () => {
  const topic = (filter: string): Spec => ({ topics: { publish: [{ topic: filter, qosMax: 1, retain: false }] } });
  it.each<[string, Spec, number, string[]]>([
    ['trust at the limit of the namespace is accepted', { trust: 3 }, 3, []],
    ['trust above it is refused', { trust: 3 }, 2, ['TrustTooHigh']],
    ['a label that is no number allows nothing', { trust: 0 }, -1, ['TrustTooHigh']],
    ['own topics by placeholder are accepted', topic('dt/{segment}/{device}/#'), 3, []],
    ['own topics by name are accepted', topic('dt/sensors.berlin/{device}/temp'), 3, []],
    ['the topics of another segment may be asked for', topic('dt/doors.berlin/{device}/#'), 3, []],
    [
      'own topics by name with a wildcard for the device are refused like those by placeholder',
      topic('dt/sensors.berlin/+/x'),
      3,
      ['TopicOutOfReach'],
    ],
    ['a second level that is nobody is refused', topic('dt/doors/{device}/#'), 3, ['TopicOutOfReach']],
    ["every site's aggregates are refused", topic('agg/+/temperature'), 3, ['TopicOutOfReach']],
    ['a segment under the word of the sites is refused', topic('agg/doors.berlin/temperature'), 3, ['TopicOutOfReach']],
    [
      'a topic of its own may be granted',
      { acceptFrom: [{ segment: 'x', topics: [{ topic: 'dt/{segment}/+/t', action: 'subscribe' }] }] },
      3,
      [],
    ],
    [
      'a topic of others may not be granted',
      { acceptFrom: [{ segment: 'x', topics: [{ topic: 'dt/doors.berlin/+/t', action: 'subscribe' }] }] },
      3,
      ['TopicOutOfReach'],
    ],
    ["nor everybody's", { acceptFrom: [{ segment: 'x', topics: [{ topic: 'dt/+/+/t', action: 'subscribe' }] }] }, 3, ['TopicOutOfReach']],
    [
      'nor a subscription that ends in +',
      { acceptFrom: [{ segment: 'x', topics: [{ topic: 'dt/{segment}/+', action: 'subscribe' }] }] },
      3,
      ['TopicOutOfReach'],
    ],
    ['everything is refused', topic('#'), 3, ['TopicOutOfReach']],
    ['the topics of the broker are refused', topic('$SYS/{segment}/x'), 3, ['TopicOutOfReach']],
    ['firmware topics are refused', topic('ota/{segment}/x'), 3, ['TopicOutOfReach']],
    ['a text that could close a string in the rule is refused', topic('dt/{segment}/{device}/"},{allow,all}'), 3, ['TopicOutOfReach']],
    ['a wildcard in place of the device is refused', topic('dt/{segment}/+/temp'), 3, ['TopicOutOfReach']],
    ['unless members may reach each other', { ...topic('dt/{segment}/+/temp'), intraSegment: 'Allow' }, 3, []],
    ["the site's own aggregates are accepted from a gateway", { ...topic('agg/berlin/temperature'), trust: 3 }, 3, []],
    ['from a device they are refused', topic('agg/berlin/temperature'), 3, ['NotTheVoiceOfASite']],
    [
      'and so are alerts and raw data',
      { topics: { publish: ['alert/berlin/#', 'raw/berlin/#'].map((one) => ({ topic: one, qosMax: 1, retain: false })) } },
      3,
      ['NotTheVoiceOfASite', 'NotTheVoiceOfASite'],
    ],
    ["another site's are refused", topic('agg/paris/temperature'), 3, ['TopicOutOfReach']],
    ['an empty podSelector is refused', { workloads: [{ podSelector: {} }] }, 3, ['SelectorTooWide']],
    [
      'a selector with empty parts is empty',
      { workloads: [{ podSelector: { matchLabels: {}, matchExpressions: [] } }] },
      3,
      ['SelectorTooWide'],
    ],
    [
      'an address range with nonsense is refused',
      { conduits: [{ name: 'x', to: { cidr: '10.0.0.0/33' }, ports: TLS }] },
      3,
      ['CidrInvalid'],
    ],
  ])('%s', (_name, spec, maxTrust, codes) => {
    expect(refused(model([policyOf('sensors', 'berlin', spec)], { maxTrust }))).toEqual(codes);
  });

  it('a subscription that ends in + is refused: the broker would admit # there', () => {
    const spec: Spec = { topics: { subscribe: [{ topic: 'cmd/{segment}/{device}/+', qosMax: 1 }] } };
    expect(refused(model([policyOf('sensors', 'berlin', spec)]))).toEqual(['TopicOutOfReach']);
  });

  it('a policy in a namespace that is not known yet waits', () => {
    const built = buildModel({ policies: [sensors()], maxTrust: () => undefined, pods: () => [], now: NOW });
    expect(refused(built)).toEqual(['NamespaceUnknown']);
    expect(rightsOf(built)).toEqual([]);
  });
});

describe('what the broker room gets', () => {
  it('rights with placeholders, so that policies of one shape are alike', () => {
    const topics = {
      publish: [{ topic: 'dt/sensors.berlin/{device}/#', qosMax: 0 as const, retain: true }],
      subscribe: [{ topic: 'cmd/{segment}/{device}/#', qosMax: 1 as const }],
    };
    expect(rightsOf(model([policyOf('sensors', 'berlin', { topics })]))).toEqual([
      {
        segment: 'sensors.berlin',
        publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 0, retain: true }],
        subscribe: [{ topic: 'cmd/{segment}/{device}/#', qosMax: 1 }],
      },
    ]);
  });

  it('nothing of a refused policy that was never good', () => {
    expect(rightsOf(model([policyOf('sensors', 'berlin', { trust: 4 })]))).toEqual([]);
  });
});

describe('the last good state stays in force', () => {
  const good = sensors({ topics: { publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }] } });
  const bad = (spec: Spec): PolicyFacts => ({ ...sensors(spec), generation: 2, lastGood: { generation: 1, spec: good.spec } });

  it('when a new text is refused: rights and conduits are those of the old one', () => {
    const built = model([bad({ topics: { publish: [{ topic: '#', qosMax: 1, retain: false }] } }), gateways()]);
    expect(refused(built)).toEqual(['TopicOutOfReach']);
    expect(verdict(built).segment?.generation).toBe(1);
    expect(rightsOf(built).find(({ segment }) => segment === 'sensors.berlin')?.publish[0]?.topic).toBe('dt/{segment}/{device}/#');
    expect(flows(built)).toEqual([['berlin/gateways', [8883]]]);
  });

  it('but not above what the namespace allows by now: the administrator has the last word', () => {
    const built = model([bad({ trust: 3 })], { maxTrust: 1 });
    expect([refused(built), verdict(built).segment]).toEqual([['TrustTooHigh'], undefined]);
  });

  it('a refused policy opens nothing and keeps its pods shut, those of the old text too', () => {
    const workloads = (app: string) => [{ podSelector: { matchLabels: { app } } }];
    const built = model([
      {
        ...sensors({ trust: 4, workloads: workloads('new') }),
        lastGood: { generation: 1, spec: { ...good.spec, trust: 4, workloads: workloads('old') } },
      },
    ]);
    expect(verdict(built).shut).toEqual([{ matchLabels: { app: 'new' } }, { matchLabels: { app: 'old' } }]);
  });
});

describe('a pod in two segments', () => {
  const both = [
    sensors({ workloads: [{ podSelector: { matchLabels: { app: 'x' } } }] }),
    gateways({ workloads: [{ podSelector: { matchLabels: { tier: 'y' } } }] }),
  ];

  it('takes the conduits of both away, and both are named', () => {
    const built = model(both, { pods: [{ app: 'x', tier: 'y' }] });
    expect([verdict(built).conflictsWith, verdict(built, 'berlin/gateways').conflictsWith]).toEqual([
      ['berlin/gateways'],
      ['berlin/sensors'],
    ]);
    expect([flows(built), verdict(built, 'berlin/gateways').segment?.incoming]).toEqual([[], []]);
  });

  it('selectors that could overlap but have no pod in common are no conflict', () => {
    expect(flows(model(both, { pods: [{ app: 'x' }, { tier: 'y' }] }))).toHaveLength(1);
  });

  it('a policy that is not accepted takes nothing away from others', () => {
    const intruder = policyOf('intruder', 'berlin', { trust: 4, workloads: [{ podSelector: { matchLabels: { app: 'x' } } }] });
    expect(flows(model([...both, intruder], { pods: [{ app: 'x' }] }))).toHaveLength(1);
  });
});
