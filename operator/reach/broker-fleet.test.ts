// The fleet by the broker's rules, by groups, beside asking each pair of devices and each device: over random fleets and random texts of rules.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, rightsOf } from './acl-rights.ts';
import { readInvariants } from './invariant.ts';
import { blastOf, checkInvariants, createVerifier, reachChange, type Verifier, whatQuarantineTakes } from './reach.ts';
import { aclText, brokerOf, clientOf } from './testing/acl.ts';
import { device, fleet as fleets, intervention, type Json, NOW, policy } from './testing/fleet.ts';
import { levelsOf } from './topic.ts';

const manifestsOf = (objects: readonly unknown[]) => objects.map((object) => ({ source: 'test', object }));
const readOf = (text: string) => ({ sources: { sources: [{ type: 'file', enable: true, rules: text }] }, settings: { no_match: 'deny' } });
const verifierOf = (objects: readonly unknown[], text?: string): Verifier =>
  createVerifier(manifestsOf(objects), NOW, false, text === undefined ? undefined : readOf(text));

const DT = { publish: [{ topic: 'dt/{segment}/{device}/#' }] };
const FLEET = [
  policy('berlin', 'a', { topics: DT, acceptFrom: [{ segment: 'b', topics: [{ topic: 'dt/{segment}/#', action: 'subscribe' }] }] }),
  policy('berlin', 'b', { trust: 3, topics: { subscribe: [{ topic: 'dt/a.berlin/#' }] } }),
  ...['a1', 'a2', 'a3'].map((name) => device('berlin', name, { segment: 'a' })),
  ...['b1', 'b2'].map((name) => device('berlin', name, { segment: 'b' })),
  device('berlin', 'lost', { segment: 'nowhere' }),
];
const BASE = [
  `{allow, all, publish, ["ota/v1/d/$\{clientid}/+", "recovery/$\{clientid}/#", "trust/v1/d/$\{clientid}/confirmed"]}.`,
  `{allow, all, subscribe, ["ota/v1/d/$\{clientid}/directive", "recovery/$\{clientid}/#", "trust/v1/anchors"]}.`,
].join('\n');
const OWN = `${BASE}\n{allow, {client_attr,"seg","a.berlin"}, publish, ["dt/$\{client_attrs.seg}/$\{clientid}/#"]}.\n{allow, {client_attr,"seg","b.berlin"}, subscribe, ["dt/a.berlin/#"]}.\n{deny, all}.`;
const waysOf = (verifier: Verifier) =>
  verifier
    .fleet()
    ?.ways()
    .map(({ from, to, topics, unsure, meant, hearers }) => [
      `${from} -> ${to} : ${topics.join(', ')}${unsure ? ' perhaps' : ''}${meant ? '' : ' unmeant'}`,
      [...hearers()].sort().join(' '),
    ]);

describe('ways at the broker', () => {
  it('are those of the policies where the text says what they say', () => {
    expect(waysOf(verifierOf(FLEET, OWN))).toEqual([['berlin/a -> berlin/b : dt/a.berlin/{publisher}/#', 'b1.berlin b2.berlin']]);
    expect(verifierOf(FLEET, OWN).fleet()?.notInForce()).toEqual([]);
    expect(reachChange(verifierOf(FLEET, OWN), verifierOf(FLEET, OWN))).toEqual({ reachable: [], blocked: [], devices: [] });
  });

  it('are not more, nor unsure, by the rules of the drivers of rollouts and of the listener: these are no devices', () => {
    const rules = [
      '{allow, {client_attr,"seg",{re,"^(?:-rollout[.]-hedgerow)$"}}, {publish,[{qos,[0,1]}]}, ["ota/v1/d/+/directive"]}.',
      '{allow, {client_attr,"seg",{re,"^(?:-listener[.]-hedgerow|-rollout[.]-hedgerow)$"}}, subscribe, ["ota/v1/d/+/directive","ota/v1/d/+/hello","ota/v1/d/+/log","ota/v1/d/+/state"]}.',
    ];
    const verifier = verifierOf(FLEET, OWN.replace('{deny, all}.', [...rules, '{deny, all}.'].join('\n')));
    const plain = verifierOf(FLEET, OWN);
    expect(waysOf(verifier)).toEqual(waysOf(plain));
    expect(verifier.fleet()?.notInForce()).toEqual([]);
    for (const action of ['publish', 'subscribe'] as const)
      expect(
        verifier
          .fleet()
          ?.uses(action, 'ota/#')
          .map(({ segment, topic, unsure }) => [segment, topic, unsure]),
      ).toEqual(
        plain
          .fleet()
          ?.uses(action, 'ota/#')
          .map(({ segment, topic, unsure }) => [segment, topic, unsure]),
      );
  });

  it('name the one device that a rule names, also where nobody wrote a policy for its segment', () => {
    const text = `{allow, {clientid, "lost.berlin"}, subscribe, ["dt/a.berlin/a2.berlin/t"]}.\n${OWN}`;
    expect(waysOf(verifierOf(FLEET, text))).toContainEqual([
      'berlin/a -> berlin/nowhere : dt/a.berlin/{publisher}/t only from a2.berlin unmeant',
      'lost.berlin',
    ]);
  });

  it('say what a rule above takes away', () => {
    const text = `{deny, all, publish, ["dt/+/+/secret"]}.\n${OWN}`;
    const verifier = verifierOf(FLEET, text);
    expect(waysOf(verifier)?.[0]?.[0]).toBe('berlin/a -> berlin/b : dt/a.berlin/{publisher}/# but dt/a.berlin/{publisher}/secret');
    expect(verifier.fleet()?.pending()).toEqual([{ from: 'berlin/a', to: 'berlin/b', topic: 'dt/a.berlin/{publisher}/#' }]);
    expect(verifier.fleet()?.notInForce()).toMatchObject([
      { segment: 'berlin/a', devices: 3, action: 'publish', filter: 'dt/a.berlin/{device}/#', why: expect.stringContaining('line 1') },
    ]);
  });

  it('are, pair by pair, those that can says', { timeout: 120_000 }, () => {
    let open = 0;
    fc.assert(
      fc.property(aclText, (text) => {
        const verifier = verifierOf(FLEET, text);
        const told = new Map(
          verifier
            .fleet()
            ?.ways()
            .map((way) => [`${way.from} ${way.to} ${way.unsure}`, way.hearers()]),
        );
        const devices = [...verifier.survey.facts.devices.values()];
        for (const from of devices.slice(0, 4)) {
          const blast = new Set(
            verifier
              .fleet(from.key)
              ?.from(from.key)
              .flatMap(({ hearers }) => [...hearers()]),
          );
          for (const to of devices) {
            if (from === to) continue;
            const { ways } = verifier.can({ device: from.key }, { device: to.key }, { topic: '#' });
            const { ways: system } = verifier.can({ device: from.key }, { device: to.key }, { topic: '$SYS/#' });
            const answers = [...ways, ...system].filter((way) => way.by === 'Broker');
            const may = answers.some(({ allowed, unsure }) => allowed || unsure);
            if (may) open += 1;
            if (may) expect([...blast]).toContain(to.wireName);
            const certain = answers.some(({ allowed }) => allowed);
            if (certain) expect([...(told.get(`${from.segment} ${to.segment} false`) ?? [])].length).toBeGreaterThan(0);
          }
          for (const name of blast) {
            const to = devices.find(({ wireName }) => wireName === name);
            const { ways } = verifier.can({ device: from.key }, { device: to?.key ?? '' });
            expect(ways.some((way) => way.by === 'Broker' && (way.allowed || way.unsure))).toBe(true);
          }
        }
      }),
      { numRuns: 60 },
    );
    expect(open).toBeGreaterThan(0);
  });

  it('grant what the text of other manifests would: whoever may use a topic is told, and nobody else', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(
        aclText,
        fc.constantFrom('publish', 'subscribe'),
        fc.constantFrom('a/b', 'd1.x/a', 'b', 'a.x/zz'),
        (text, action, topic) => {
          const objects = [policy('x', 'a', {}), ...['d1', 'd2'].map((name) => device('x', name, { segment: 'a' }))];
          const uses = verifierOf(objects, text)
            .fleet()
            ?.uses(action as 'publish', topic);
          const may = ['d1.x', 'd2.x'].some((name) => {
            const { username: _, address: __, ...client } = clientOf(name, 'a.x');
            const levels = levelsOf(topic);
            return ([0, 1, 2] as const).some((qos) =>
              [true, false].some(
                (retain) => decide(rightsOf(client, brokerOf(text)), { action: action as 'publish', levels, qos, retain }, 'may').allowed,
              ),
            );
          });
          if (may) expect(uses).not.toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('where nothing was read of the broker there are none', () => {
    expect(verifierOf(FLEET).fleet()).toBeUndefined();
  });
});

const invariantsOf = (document: Json) => readInvariants({ invariants: [{ name: 'it', ...document }] }).invariants;

describe('invariants by the broker', () => {
  const NOBODY_OUTSIDE = invariantsOf({ never: { from: { segment: 'a' }, to: [{ segment: 'nowhere' }, 'internet'] } });
  const HEARS = '{allow, {clientid, "lost.berlin"}, subscribe, ["dt/#"]}.';

  it('are broken by a rule of others though the manifests are right, and it is the proof', () => {
    expect(checkInvariants(verifierOf([...FLEET, policy('berlin', 'nowhere', {})]), NOBODY_OUTSIDE)[0]?.violations).toEqual([]);
    const [checked] = checkInvariants(verifierOf([...FLEET, policy('berlin', 'nowhere', {})], `${HEARS}\n${OWN}`), NOBODY_OUTSIDE);
    expect(checked?.violations).toMatchObject([
      {
        from: 'berlin/a',
        to: 'berlin/nowhere',
        what: 'dt/a.berlin/{publisher}/#',
        proof: [{ policy: 'EMQX, file, line 4' }, { policy: 'EMQX, file, line 1', value: HEARS.slice(0, -1) }],
      },
    ]);
  });

  it('about a topic are broken by whoever may use it, but not by what every Device keeps', () => {
    const everything = invariantsOf({ subscribe: { topic: '#', only: [{ segment: 'b' }] } });
    expect(checkInvariants(verifierOf(FLEET, OWN), everything)[0]?.violations).toEqual([]);
    const [checked] = checkInvariants(verifierOf(FLEET, `${HEARS}\n${OWN}`), everything);
    expect(checked?.violations).toMatchObject([{ from: 'berlin/nowhere', to: 'topic dt/#', proof: [{ policy: 'EMQX, file, line 1' }] }]);
  });

  it('are not known where a rule is not understood', () => {
    const [checked] = checkInvariants(
      verifierOf([...FLEET, policy('berlin', 'nowhere', {})], `{allow, {zone, "z"}}.\n${OWN}`),
      NOBODY_OUTSIDE,
    );
    expect(checked?.violations.length).toBeGreaterThan(0);
    expect(checked?.violations.every(({ unsure }) => unsure)).toBe(true);
  });
});

describe('what-if by the broker', () => {
  it('a compromised device reaches and hears what the rules let, and the rest of its segment is no part of its own', () => {
    const text = `{allow, {clientid, "a1.berlin"}, all, ["x/#"]}.\n{allow, {client_attr,"seg","a.berlin"}, subscribe, ["x/#"]}.\n${OWN}`;
    const blast = blastOf(verifierOf(FLEET, text), 'berlin/a1', 1);
    expect(blast.reached.map(({ to, topics, devices }) => [to, topics, devices])).toEqual([
      ['berlin/a', ['x/#'], 2],
      ['berlin/b', ['dt/a.berlin/{publisher}/#'], 2],
    ]);
    expect(blast.hears).toEqual([]);
    expect(blastOf(verifierOf(FLEET, text), 'berlin/b1', 1).hears).toEqual([{ from: 'berlin/a', topics: ['dt/a.berlin/{publisher}/#'] }]);
  });

  it('of a device in quarantine a text alone is asked as if it were not: its record is not in it', () => {
    const shut = [...FLEET, intervention('berlin', 'a1', { action: 'Quarantine' })];
    expect(blastOf(verifierOf(shut), 'berlin/a1', 1).reached).toEqual([]);
    expect(blastOf(verifierOf(shut, OWN), 'berlin/a1', 1).reached).toHaveLength(1);
    expect(waysOf(verifierOf(shut, OWN))).toHaveLength(1);
  });

  it('a quarantine ends what its record ends; a source before it is said', () => {
    const quarantine = (read: Parameters<typeof createVerifier>[3]) =>
      whatQuarantineTakes(createVerifier(manifestsOf(FLEET), NOW, false, read), manifestsOf(FLEET), 'berlin/a1', NOW);
    expect(quarantine(readOf(OWN))).toMatchObject({ loses: [{ peer: 'berlin/b', topics: ['dt/a.berlin/{publisher}/#'] }], stays: [] });
    const [file, records] = [
      { type: 'file', enable: true, rules: OWN },
      { type: 'built_in_database', enable: true },
    ];
    const live = { clients: new Map(), bans: [] };
    const held = { clients: new Map(), users: new Map(), all: [] };
    const at = (sources: readonly object[]) => quarantine({ sources: { sources }, settings: { no_match: 'deny' }, records: held, live });
    expect(at([records, file]).stays).toEqual([]);
    expect(at([file, records])).toMatchObject({ loses: [], stays: [{ peer: 'berlin/b', topics: ['dt/a.berlin/{publisher}/#'] }] });
  });

  it('without a broker it is as it was before: the edges of the policies', () => {
    fc.assert(
      fc.property(fleets, (objects) => {
        const verifier = verifierOf(objects as readonly unknown[]);
        for (const { key } of verifier.intent.devices()) {
          const reached = blastOf(verifier, key, 1).reached.filter(({ topics }) => topics.length > 0);
          const hears = reached.map(({ to }) => to);
          const edges = verifier.intent.edges(key).filter(({ topics }) => topics.length > 0);
          expect(hears.sort()).toEqual(edges.map(({ to }) => to).sort());
        }
      }),
      { numRuns: 100 },
    );
  });
});
