import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SegmentPolicySpec, SegmentPolicyStatus } from '../api/segment-policy.ts';
import { buildModel, type Model, type PolicyFacts } from './model.ts';
import { type ReachStatus, reachOf, reachStatusOf } from './pairs.ts';
import { fleet, isGranted, NOW, PODS, policyOf } from './testing/fleet.ts';
import { may, topicFleet } from './testing/topic-fleet.ts';

type Spec = Partial<SegmentPolicySpec>;

const modelOf = (policies: readonly PolicyFacts[]): Model =>
  buildModel({ policies, maxTrust: () => 3, pods: (namespace) => PODS.filter((pod) => pod.namespace === namespace), now: NOW });
const pairsOf = (policies: readonly PolicyFacts[], key: string): string[] => [...reachOf(modelOf(policies), key).pairs].sort();

/** What the status of a policy says, among policies that are as they are. */
function statusOf(policy: PolicyFacts, others: readonly PolicyFacts[], status?: SegmentPolicyStatus): ReachStatus {
  const model = modelOf([policy, ...others]);
  const verdict = model.verdicts.get(policy.key);
  if (verdict === undefined) throw new Error(`no verdict about ${policy.key}`);
  const shown = verdict.audited && model.trial !== undefined ? model.trial : model;
  return reachStatusOf({ policy, status, verdict, model, shown, modelWith: (one) => modelOf([one, ...others]) });
}
const edited = (policy: PolicyFacts, change: Spec): PolicyFacts => ({
  ...policy,
  generation: policy.generation + 1,
  spec: { ...policy.spec, ...change },
  lastGood: { generation: policy.generation, spec: policy.spec },
});
const written = (policy: PolicyFacts): PolicyFacts => ({ ...policy, lastGood: { generation: policy.generation, spec: policy.spec } });

const PORTS = [{ protocol: 'TCP' as const, port: 443 }];
const UP = { name: 'up', to: { segment: 'gateways' }, ports: PORTS };
const OUT = { topic: 'dt/{segment}/{device}/#', qosMax: 1 as const, retain: false };
const sensors = policyOf('sensors', 'berlin', {
  topics: { publish: [OUT] },
  conduits: [UP],
  acceptFrom: [{ segment: 'gateways', topics: [{ topic: 'dt/{segment}/#', action: 'subscribe' }] }],
});
const gateways = policyOf('gateways', 'berlin', {
  trust: 3,
  acceptFrom: [{ segment: 'sensors', ports: PORTS }],
  topics: { subscribe: [{ topic: 'dt/+/+/x', qosMax: 1 }] },
});
const doors = policyOf('doors', 'berlin', { topics: { publish: [OUT] }, conduits: [UP] });

describe('pairs of a segment', () => {
  it('a conduit that both sides grant and topics that one says and the other hears are one pair, on both policies', () => {
    for (const key of ['berlin/sensors', 'berlin/gateways'])
      expect(pairsOf([sensors, gateways], key)).toEqual(['berlin/sensors -> berlin/gateways']);
  });

  it('what only one side grants is none', () => {
    expect(pairsOf([doors, gateways], 'berlin/doors')).toEqual([]);
  });

  it('who meets in the topics of a third segment is a pair of those two', () => {
    const topics = (action: 'publish' | 'subscribe') => [{ topic: 'dt/{segment}/board/#', action }];
    const owner = policyOf('board', 'berlin', {
      acceptFrom: [
        { segment: 'doors', topics: topics('publish') },
        { segment: 'sensors', topics: topics('subscribe') },
      ],
    });
    const writer = policyOf('doors', 'berlin', { topics: { publish: [{ ...OUT, topic: 'dt/board.berlin/board/#' }] } });
    const reader = policyOf('sensors', 'berlin', { topics: { subscribe: [{ topic: 'dt/board.berlin/board/x', qosMax: 1 }] } });
    expect(pairsOf([owner, writer, reader], 'berlin/doors')).toEqual(['berlin/doors -> berlin/sensors']);
    expect(pairsOf([owner, writer, reader], 'berlin/board')).toEqual([]);
  });

  it.each<[says: string, spec: Spec, pairs: number]>([
    ['a device that hears only itself reaches nobody', { topics: { publish: [OUT], subscribe: [OUT] } }, 0],
    [
      'devices that hear each other are a pair of the segment with itself',
      { intraSegment: 'Allow', topics: { publish: [OUT], subscribe: [{ topic: 'dt/{segment}/#', qosMax: 1 }] } },
      1,
    ],
    ['so are pods that may', { intraSegment: 'Allow', workloads: [{ podSelector: { matchLabels: { app: 'a' } } }] }, 1],
    ['without pods there is nobody', { intraSegment: 'Allow' }, 0],
    [
      "what is the whole site's is no pair of two segments",
      {
        intraSegment: 'Allow',
        topics: { publish: [{ ...OUT, topic: 'agg/berlin/x' }], subscribe: [{ topic: 'agg/berlin/#', qosMax: 1 }] },
      },
      0,
    ],
    ['addresses outside are no segment', { conduits: [{ name: 'out', to: { cidr: '192.0.2.0/24' }, ports: PORTS }] }, 0],
  ])('%s', (_, spec, pairs) => {
    const policy = policyOf('alone', 'berlin', spec);
    expect(pairsOf([policy], policy.key)).toHaveLength(pairs);
  });

  it('by network are those that both sides grant by definition, in any fleet', () => {
    fc.assert(
      fc.property(fleet, (policies) => {
        for (const a of policies)
          for (const b of policies) {
            if (a === b && (a.spec.workloads ?? []).length === 0) continue;
            const granted = [80, 443].some((port) => isGranted(policies, a, b, port));
            expect(pairsOf(policies, a.key).includes(`${a.key} -> ${b.key}`)).toBe(granted);
          }
      }),
      { numRuns: 300 },
    );
  });

  it('by topics are those in which some device of one says something that some device of the other hears, in any fleet', () => {
    const devicesOf = ({ name, namespace }: PolicyFacts): string[] => [`of-${name}.${namespace}`, `a.${namespace}`, `b.${namespace}`];
    fc.assert(
      fc.property(topicFleet, (policies) => {
        const names = policies.map(({ name, namespace }) => `${name}.${namespace}`);
        const levels = [...new Set(['x', 'y', ...policies.flatMap(devicesOf), ...names])];
        const below = levels.flatMap((level) => [level, ...levels.map((next) => `${level}/${next}`)]);
        const topics = names.flatMap((name) => below.map((rest) => `dt/${name}/${rest}`));
        const who = (action: 'publish' | 'subscribe', policy: PolicyFacts, topic: string): string[] =>
          devicesOf(policy).filter((device) => may(policies, { device, segment: `${policy.name}.${policy.namespace}`, action, topic }));
        for (const a of policies)
          for (const b of policies) {
            if (a === b) continue;
            const meets = topics.some((topic) => {
              const hears = who('subscribe', b, topic);
              return hears.length > 0 && who('publish', a, topic).some((says) => hears.some((device) => device !== says));
            });
            expect(pairsOf(policies, b.key).includes(`${a.key} -> ${b.key}`)).toBe(meets);
          }
      }),
      { numRuns: 200 },
    );
  });
});

describe('what a status says of the last change', () => {
  it('a policy that is new has added all of its pairs', () => {
    expect(statusOf(sensors, [gateways])).toMatchObject({ pairs: 1, added: 1, removed: 0 });
  });

  it('an edit that takes the way away has removed the pair, and after a restart it still has', () => {
    const policy = edited(sensors, { conduits: [], topics: {} });
    const reach = statusOf(policy, [gateways]);
    expect(reach).toMatchObject({ pairs: 0, added: 0, removed: 1 });
    expect(statusOf(written(policy), [gateways], { reach })).toEqual(reach);
  });

  it('a grant of somebody else counts in the policy that gives it', () => {
    const reach = statusOf(doors, [gateways]);
    expect(reach).toMatchObject({ pairs: 0, added: 0 });
    const grant = edited(gateways, { acceptFrom: [{ segment: 'doors', ports: PORTS }] });
    expect(statusOf(grant, [doors])).toMatchObject({ pairs: 1, added: 1, removed: 0 });
    expect(statusOf(written(doors), [grant], { reach })).toMatchObject({ pairs: 1, added: 0, removed: 0 });
  });

  it('an edit that is refused changed nothing; one that is audited says what it would', () => {
    const reach = statusOf(sensors, [gateways]);
    expect(statusOf(edited(sensors, { trust: 4, conduits: [] }), [gateways], { reach })).toEqual(reach);
    expect(statusOf(edited(sensors, { mode: 'Audit', conduits: [], topics: {} }), [gateways], { reach })).toMatchObject({
      pairs: 0,
      added: 0,
      removed: 1,
    });
  });

  it('other ports are another model and no other pair; what is far away is not in it', () => {
    const before = statusOf(sensors, [gateways]);
    const more = [...PORTS, { protocol: 'TCP' as const, port: 80 }];
    const wider = statusOf(edited(sensors, { conduits: [{ ...UP, ports: more }] }), [
      { ...gateways, spec: { ...gateways.spec, acceptFrom: [{ segment: 'sensors', ports: more }] } },
    ]);
    expect(wider).toMatchObject({ pairs: 1, added: 0, removed: 0 });
    expect(wider.modelDigest).not.toBe(before.modelDigest);
    expect(statusOf(sensors, [gateways, policyOf('far', 'paris', { topics: { publish: [OUT] } })])).toEqual(before);
  });

  const anyFleet = fc.oneof(fleet, topicFleet);
  it('is the same in whatever order the policies are read, and when it is asked again', () => {
    fc.assert(
      fc.property(anyFleet, fc.nat(5), fc.infiniteStream(fc.nat()), (policies, at, numbers) => {
        const policy = policies[at % Math.max(1, policies.length)];
        if (policy === undefined) return;
        const others = policies.filter((one) => one !== policy);
        const shuffled = others
          .map((one) => ({ one, place: numbers.next().value ?? 0 }))
          .sort((a, b) => a.place - b.place)
          .map(({ one }) => one);
        const reach = statusOf(policy, others);
        expect(statusOf(policy, shuffled)).toEqual(reach);
        const accepted = modelOf(policies).verdicts.get(policy.key)?.refused.length === 0;
        expect(statusOf(accepted ? written(policy) : policy, shuffled, { reach })).toEqual(reach);
      }),
      { numRuns: 300 },
    );
  });

  it('of a change and of the change back is the other way round', () => {
    fc.assert(
      fc.property(anyFleet, anyFleet, fc.nat(5), (policies, texts, at) => {
        const policy = policies[at % Math.max(1, policies.length)];
        const text = texts[at % Math.max(1, texts.length)];
        if (policy === undefined || text === undefined) return;
        const others = policies.filter((one) => one !== policy);
        const after = { ...edited(policy, {}), spec: text.spec };
        const back = { ...edited(after, {}), spec: policy.spec };
        // A text that is refused was never accepted, so there is no change back from it.
        for (const one of [after, back]) fc.pre(modelOf([one, ...others]).verdicts.get(policy.key)?.refused.length === 0);
        const [there, again] = [statusOf(after, others), statusOf(back, others)];
        expect([again.added, again.removed]).toEqual([there.removed, there.added]);
        expect(there.pairs - there.added + there.removed).toBe(again.pairs);
      }),
      { numRuns: 300 },
    );
  });
});
