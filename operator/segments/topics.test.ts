import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { topicProblem } from '../api/topic.ts';
import { brokerOf } from '../broker/testing/text.ts';
import { reasonOf } from './errors.ts';
import { buildModel, type Model, type PolicyFacts, rightsOf } from './model.ts';
import { NOW, policyOf } from './testing/fleet.ts';
import { asked, may, topicFleet } from './testing/topic-fleet.ts';

type Spec = Partial<SegmentPolicySpec>;
type Grant = { namespace?: string; segment: string; topics: { topic: string; action: 'publish' | 'subscribe' }[] };

const model = (policies: readonly PolicyFacts[]): Model => buildModel({ policies, maxTrust: () => 3, pods: () => [], now: NOW });
const reads = (...topics: string[]): Spec => ({ topics: { subscribe: topics.map((topic) => ({ topic, qosMax: 1 })) } });
const writes = (...topics: string[]): Spec => ({ topics: { publish: topics.map((topic) => ({ topic, qosMax: 1, retain: false })) } });
const grants = (segment: string, action: 'publish' | 'subscribe', ...topics: string[]): Grant => ({
  segment,
  topics: topics.map((topic) => ({ topic, action })),
});
const service = (spec: Spec): PolicyFacts => policyOf('service', 'berlin', { trust: 3, ...spec });
/** Devices that publish telemetry. */
const sensors = (acceptFrom: Grant[] = [], more: Spec = {}, namespace = 'berlin'): PolicyFacts =>
  policyOf('sensors', namespace, { ...writes('dt/{segment}/{device}/#'), acceptFrom, ...more });

const verdict = (built: Model, key = 'berlin/service') => {
  const found = built.verdicts.get(key);
  if (found === undefined) throw new Error(`no verdict about ${key}`);
  return found;
};
const topicsOf = (built: Model, action: 'publish' | 'subscribe' = 'subscribe') =>
  verdict(built).segment?.rights[action].map(({ topic }) => topic);
const missing = (built: Model) => verdict(built).missing.map(({ code, found }) => `${reasonOf(code)}: ${found}`);

describe('a topic of another segment needs two keys', () => {
  it.each<[sentence: string, ask: Spec, owner: PolicyFacts[], topics: string[], missing: string[]]>([
    [
      'asked and accepted: it is in force, by the name of its owner',
      reads('dt/sensors.berlin/+/temp'),
      [sensors([grants('service', 'subscribe', 'dt/{segment}/+/temp')])],
      ['dt/sensors.berlin/+/temp'],
      [],
    ],
    [
      'asked and not accepted: nothing, and whose grant is missing is said',
      reads('dt/sensors.berlin/+/temp'),
      [sensors()],
      [],
      ['TopicNotAccepted: subscribe dt/sensors.berlin/+/temp: berlin/sensors does not accept it from berlin/service'],
    ],
    ['accepted and not asked: nothing', {}, [sensors([grants('service', 'subscribe', 'dt/{segment}/#')])], [], []],
    [
      'the other action is another right',
      reads('dt/sensors.berlin/+/temp'),
      [sensors([grants('service', 'publish', 'dt/{segment}/+/temp')])],
      [],
      ['TopicNotAccepted: subscribe dt/sensors.berlin/+/temp: berlin/sensors does not accept it from berlin/service'],
    ],
    [
      'of an ask that is wider than the grant the grant holds, and the rest is named',
      reads('dt/sensors.berlin/#'),
      [sensors([grants('service', 'subscribe', 'dt/{segment}/+/temp', 'dt/{segment}/+/state/#')])],
      ['dt/sensors.berlin/+/state/#', 'dt/sensors.berlin/+/temp'],
      [
        'TopicNotAccepted: subscribe dt/sensors.berlin/#: berlin/sensors does not accept it from berlin/service, only dt/sensors.berlin/+/state/#, dt/sensors.berlin/+/temp',
      ],
    ],
    [
      'of a grant that is wider than the ask the ask holds',
      reads('dt/sensors.berlin/+/temp'),
      [sensors([grants('service', 'subscribe', 'dt/{segment}/#')])],
      ['dt/sensors.berlin/+/temp'],
      [],
    ],
    [
      'a grant for a namesake in another namespace is not one for us',
      reads('dt/sensors.berlin/#'),
      [sensors([{ ...grants('service', 'subscribe', 'dt/{segment}/#'), namespace: 'paris' }])],
      [],
      ['TopicNotAccepted: subscribe dt/sensors.berlin/#: berlin/sensors does not accept it from berlin/service'],
    ],
    [
      'across namespaces the rule is the same',
      reads('dt/sensors.paris/#'),
      [sensors([{ ...grants('service', 'subscribe', 'dt/{segment}/#'), namespace: 'berlin' }], {}, 'paris')],
      ['dt/sensors.paris/#'],
      [],
    ],
    [
      'acceptFrom without a namespace means the own one, so a namesake elsewhere gets nothing',
      reads('dt/sensors.paris/#'),
      [sensors([grants('service', 'subscribe', 'dt/{segment}/#')], {}, 'paris')],
      [],
      ['TopicNotAccepted: subscribe dt/sensors.paris/#: paris/sensors does not accept it from berlin/service'],
    ],
    [
      'a segment that does not exist is named',
      reads('dt/doors.berlin/#'),
      [],
      [],
      ['PeerNotFound: subscribe dt/doors.berlin/#: there is no SegmentPolicy berlin/doors'],
    ],
    [
      'a policy that is not in force grants nothing',
      reads('dt/sensors.berlin/#'),
      [sensors([grants('service', 'subscribe', 'dt/{segment}/#')], { trust: 4 })],
      [],
      ['PeerRefused: subscribe dt/sensors.berlin/#: SegmentPolicy berlin/sensors is not in force'],
    ],
    [
      'nobody has to do with the topics of trust 0',
      reads('dt/sensors.berlin/#'),
      [sensors([grants('service', 'subscribe', 'dt/{segment}/#')], { trust: 0 })],
      [],
      ['IntoQuarantine: subscribe dt/sensors.berlin/#: the trust of berlin/sensors is 0'],
    ],
    [
      'each device has its own of a topic with {device}',
      reads('reply/sensors.berlin/{device}/state'),
      [sensors([grants('service', 'subscribe', 'reply/{segment}/+/state')])],
      ['reply/sensors.berlin/{device}/state'],
      [],
    ],
    [
      'the own name in the topics of others stays a placeholder, so that alike segments share a rule',
      reads('reply/sensors.berlin/{segment}/{device}'),
      [sensors([grants('service', 'subscribe', 'reply/{segment}/#')])],
      ['reply/sensors.berlin/{segment}/{device}'],
      [],
    ],
  ])('%s', (_sentence, ask, owners, topics, named) => {
    const built = model([service(ask), ...owners]);
    expect(topicsOf(built)).toEqual(topics);
    expect(missing(built)).toEqual(named);
  });

  it('what is missing takes nothing from the rest of the policy', () => {
    const built = model([service(reads('dt/sensors.berlin/#', 'cmd/{segment}/{device}/#')), sensors()]);
    expect(topicsOf(built)).toEqual(['cmd/{segment}/{device}/#']);
    expect(verdict(built).refused).toEqual([]);
  });

  it('quality of service and retained come from who asks', () => {
    const topics = { publish: [{ topic: 'cmd/sensors.berlin/+/set', qosMax: 2 as const, retain: true }] };
    const built = model([service({ topics }), sensors([grants('service', 'publish', 'cmd/{segment}/#')])]);
    expect(verdict(built).segment?.rights.publish).toEqual([{ topic: 'cmd/sensors.berlin/+/set', qosMax: 2, retain: true }]);
  });

  it('trust may not rise without a justification, other than to a gateway', () => {
    const ask = (justification?: string): Spec => ({
      trust: 1,
      topics: { subscribe: [{ topic: 'dt/sensors.berlin/#', qosMax: 1, ...(justification === undefined ? {} : { justification }) }] },
    });
    const open = grants('service', 'subscribe', 'dt/{segment}/#');
    const outcome = (spec: Spec, trust: number) => {
      const built = model([service(spec), sensors([open], { trust })]);
      return [topicsOf(built), verdict(built).missing.map(({ code }) => reasonOf(code))];
    };
    expect(outcome(ask(), 2)).toEqual([[], ['JustificationMissing']]);
    expect(outcome(ask('  '), 2)).toEqual([[], ['JustificationMissing']]);
    expect(outcome(ask('ticket 4711'), 2)).toEqual([['dt/sensors.berlin/#'], []]);
    expect(outcome(ask(), 3)).toEqual([['dt/sensors.berlin/#'], []]);
  });
});

describe('a service that reads many segments', () => {
  const open = [grants('service', 'subscribe', 'dt/{segment}/#')];
  const owner = (name: string, acceptFrom: Grant[]): PolicyFacts =>
    policyOf(name, 'berlin', { ...writes('dt/{segment}/{device}/#'), acceptFrom });

  it.each(['dt/+/+/temp', 'dt/+/#', 'dt/#'])('%s is the sum of what each owner grants, never the wildcard itself', (topic) => {
    const built = model([service(reads(topic)), owner('a', open), owner('b', open)]);
    const below = topic.split('/').slice(2).join('/') || '#';
    expect(topicsOf(built)).toEqual([`dt/a.berlin/${below}`, `dt/b.berlin/${below}`]);
    expect([missing(built), verdict(built).partly]).toEqual([[], []]);
  });

  it('an owner that grants nothing is left out and named; the policy is compiled', () => {
    const built = model([service(reads('dt/+/#')), owner('a', open), owner('b', []), owner('c', [])]);
    expect(topicsOf(built)).toEqual(['dt/a.berlin/#']);
    expect(missing(built)).toEqual([]);
    expect(verdict(built).partly).toEqual(['subscribe dt/+/# is accepted by 1 segments, not by berlin/b, berlin/c']);
  });

  it('that nobody grants is missing, and whose grants would be needed is said', () => {
    const built = model([policyOf('spy', 'paris', reads('dt/#')), owner('a', open), owner('b', []), policyOf('idle', 'berlin', {})]);
    expect(verdict(built, 'paris/spy').segment?.rights.subscribe).toEqual([]);
    expect(verdict(built, 'paris/spy').missing).toEqual([
      {
        code: 'HR-SEG-016',
        path: 'spec.topics.subscribe[0].topic',
        found: 'subscribe dt/#: nobody accepts it from paris/spy; missing is that of berlin/a, berlin/b',
      },
    ]);
  });

  it('many names are cut short', () => {
    const built = model([service(reads('dt/#')), ...Array.from({ length: 9 }, (_, i) => owner(`s${i}`, []))]);
    expect(missing(built)[0]).toMatch(/missing is that of berlin\/s0, .*berlin\/s4 and 4 more$/);
  });

  it('the own segment is not among them: own topics are written with {segment}', () => {
    const own = service({ ...reads('dt/+/#'), ...{ acceptFrom: open }, intraSegment: 'Allow' });
    expect(topicsOf(model([own, owner('a', open)]))).toEqual(['dt/a.berlin/#']);
  });
});

describe('at the broker', () => {
  it('a Sparkplug node speaks for itself and what is attached to it, and only a gateway that its segment accepts hears it and asks it', () => {
    const own = [
      ...['NBIRTH', 'NDATA', 'NDEATH'].map((type) => `spBv1.0/{segment}/${type}/{device}`),
      ...['DBIRTH', 'DDATA', 'DDEATH'].map((type) => `spBv1.0/{segment}/${type}/{device}/+`),
    ];
    for (const topic of own) expect(topicProblem(topic, 'publish')).toBeUndefined();
    const pumps = policyOf('pumps', 'berlin', {
      topics: { ...writes(...own).topics, ...reads('spBv1.0/{segment}/NCMD/{device}').topics },
      acceptFrom: [
        {
          segment: 'service',
          topics: [
            { topic: 'spBv1.0/{segment}/#', action: 'subscribe' },
            { topic: 'spBv1.0/{segment}/NCMD/+', action: 'publish' },
          ],
        },
      ],
    });
    const asks = { ...reads('spBv1.0/+/#').topics, ...writes('spBv1.0/pumps.berlin/NCMD/+').topics };
    const built = model([pumps, service({ topics: asks }), policyOf('other', 'berlin', { topics: asks })]);
    expect(missing(built)).toEqual([]);
    const broker = brokerOf(rightsOf(built));
    const node = (topic: string, action: 'publish' | 'subscribe' = 'publish') =>
      broker({ device: 'a.berlin', segment: 'pumps.berlin', action, topic: `spBv1.0/${topic}` });
    expect(['NBIRTH/a.berlin', 'NDEATH/a.berlin', 'DDATA/a.berlin/pump'].map((end) => node(`pumps.berlin/${end}`))).toEqual([
      true,
      true,
      true,
    ]);
    for (const end of ['NDATA/b.berlin', 'DDATA/b.berlin/pump', 'DDATA/a.berlin', 'DDATA/a.berlin/x/y', 'NCMD/a.berlin'])
      expect([end, node(`pumps.berlin/${end}`)]).toEqual([end, false]);
    expect([node('other.berlin/NDATA/a.berlin'), node('pumps.berlin/NCMD/b.berlin', 'subscribe')]).toEqual([false, false]);
    expect(node('pumps.berlin/NCMD/a.berlin', 'subscribe')).toBe(true);
    for (const [segment, allowed] of [
      ['service.berlin', true],
      ['other.berlin', false],
    ] as const) {
      const of = { device: 'gateway.berlin', segment };
      expect(broker({ ...of, action: 'subscribe', topic: 'spBv1.0/pumps.berlin/DDATA/+/+' })).toBe(allowed);
      expect(broker({ ...of, action: 'publish', topic: 'spBv1.0/pumps.berlin/NCMD/a.berlin' })).toBe(allowed);
      expect(broker({ ...of, action: 'publish', topic: 'spBv1.0/pumps.berlin/NDATA/a.berlin' })).toBe(false);
    }
  });

  it('a device may use a topic of another segment exactly when its policy asks for it and the owner accepts it', () => {
    let both = 0;
    fc.assert(
      fc.property(topicFleet, (policies) => {
        const broker = brokerOf(rightsOf(model(policies)));
        for (const attempt of asked) {
          const expected = may(policies, attempt);
          if (expected && attempt.topic.split('/')[1] !== attempt.segment) both++;
          expect({ ...attempt, allowed: broker(attempt) }).toEqual({ ...attempt, allowed: expected });
        }
      }),
      { numRuns: 1000 },
    );
    expect(both).toBeGreaterThan(200);
  }, 60_000);

  it('the order of policies, topics and grants changes nothing', () => {
    fc.assert(
      fc.property(topicFleet, (policies) => {
        const turned = policies.toReversed().map(({ spec, ...rest }) => ({
          ...rest,
          spec: {
            ...spec,
            acceptFrom: spec.acceptFrom?.toReversed(),
            topics: { publish: spec.topics?.publish?.toReversed(), subscribe: spec.topics?.subscribe?.toReversed() },
          },
        })) as PolicyFacts[];
        const [one, other] = [brokerOf(rightsOf(model(policies))), brokerOf(rightsOf(model(turned)))];
        for (const attempt of asked) expect(other(attempt)).toBe(one(attempt));
      }),
      { numRuns: 100 },
    );
  }, 60_000);

  it('a grant that is taken back takes exactly its topics away, and a policy that is deleted opens nothing', () => {
    fc.assert(
      fc.property(topicFleet, fc.nat(5), (policies, at) => {
        fc.pre(policies.length > 0);
        const before = brokerOf(rightsOf(model(policies)));
        const after = brokerOf(rightsOf(model(policies.toSpliced(at % policies.length, 1))));
        for (const attempt of asked) if (after(attempt)) expect(before(attempt)).toBe(true);
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});
