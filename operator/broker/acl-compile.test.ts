import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CompileInput, compileAcl, RULE_BUDGET } from './acl-compile.ts';
import { type AclClient, decide } from './acl-decide.ts';
import { lint } from './acl-lint.ts';
import { parseAcl } from './acl-parse.ts';
import { printRule, type Term } from './acl-term.ts';
import { printBlock } from './acl-text.ts';
import type { SegmentRights } from './broker.ts';
import { goodRights, hostileRights, rightsOf, SEGMENTS } from './testing/rights.ts';
import { covers, render } from './topic.ts';

const compile = (segments: readonly SegmentRights[], more: Partial<CompileInput> = {}) =>
  compileAcl({ segments, refused: new Map(), age: () => 0, mode: 'owned', ...more });
const clientOf = (clientid: string, segment: string | undefined): AclClient => ({
  clientid,
  username: 'f'.repeat(32),
  ip: '10.0.0.1',
  attributes: segment === undefined ? {} : { seg: segment },
});
const alike = (count: number): SegmentRights[] =>
  Array.from({ length: count }, (_, i) => ({
    segment: `s${i}.berlin`,
    publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1 as const, retain: false }],
    subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
  }));
const printed = (terms: readonly Term[]): string[] => terms.map(printRule);

describe('rights of segments become rules', () => {
  it('as EMQX was seen to take them', () => {
    const { rules } = compile([
      {
        segment: 'office-sensors.berlin',
        publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }],
        subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
      },
      { segment: 'gateways.berlin', publish: [{ topic: 'agg/berlin/#', qosMax: 1, retain: false }], subscribe: [] },
    ]);
    expect(printed(rules)).toMatchInlineSnapshot(`
      [
        "{allow, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, {publish,[{qos,[0,1]},{retain,false}]}, ["ota/v1/d/\${cert_common_name}/hello","ota/v1/d/\${cert_common_name}/log","recovery/\${cert_common_name}/#"]}.",
        "{allow, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, {publish,[{qos,[0,1]}]}, ["ota/v1/d/\${cert_common_name}/state","trust/v1/d/\${cert_common_name}/confirmed"]}.",
        "{allow, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, subscribe, ["ota/v1/d/\${cert_common_name}/directive","recovery/\${cert_common_name}/#","trust/v1/anchors"]}.",
        "{allow, {client_attr,"seg",{re,"^(?:office-sensors[.]berlin)$"}}, subscribe, ["cmd/\${client_attrs.seg}/\${cert_common_name}/#"]}.",
        "{allow, {client_attr,"seg",{re,"^(?:gateways[.]berlin)$"}}, {publish,[{qos,[0,1]},{retain,false}]}, ["agg/berlin/#"]}.",
        "{allow, {client_attr,"seg",{re,"^(?:office-sensors[.]berlin)$"}}, {publish,[{qos,[0,1]},{retain,false}]}, ["dt/\${client_attrs.seg}/\${cert_common_name}/#"]}.",
        "{deny, all}.",
      ]
    `);
  });

  it('the number of rules depends on how many different ones there are, not on segments (promise 11)', () => {
    expect(compile(alike(1)).rules).toHaveLength(6);
    expect(compile(alike(500)).rules).toHaveLength(6);
    expect(compile(alike(501)).rules).toHaveLength(8);
    expect(compile(alike(2000)).rules.length).toBeLessThanOrEqual(12);
  });

  it('segments are sorted, whatever order they come in: the same rights are the same text', () => {
    fc.assert(
      fc.property(
        goodRights.chain((rights) => fc.tuple(fc.constant(rights), fc.shuffledSubarray(rights, { minLength: rights.length }))),
        ([rights, shuffled]) => {
          expect(printed(compile(shuffled).rules)).toEqual(printed(compile(rights).rules));
        },
      ),
    );
  });

  it('a client may do exactly what its segment grants, what every device keeps, and nothing else', () => {
    const topics = fc
      .array(
        fc.constantFrom(
          'dt',
          'cmd',
          'agg',
          'x',
          'a.b',
          'ota',
          'v1',
          'd',
          'recovery',
          'hello',
          'state',
          'directive',
          't-1.berlin',
          'office.berlin',
          '#',
          '+',
          '$SYS',
        ),
        { minLength: 1, maxLength: 5 },
      )
      .map((levels) => levels.join('/'));
    fc.assert(
      fc.property(
        goodRights,
        fc.constantFrom(...SEGMENTS, undefined),
        fc.constantFrom<'publish' | 'subscribe'>('publish', 'subscribe'),
        topics,
        fc.constantFrom<'owned' | 'guest'>('owned', 'guest'),
        (rights, segment, action, topic, mode) => {
          const client = clientOf('t-1.berlin', segment);
          const { rules } = compile(rights, { mode });
          const permission = decide(rules, client, { action, topic })?.permission ?? 'none';
          const own = rights.find((one) => one.segment === segment)?.[action] ?? [];
          const base =
            action === 'publish'
              ? [
                  'ota/v1/d/{device}/hello',
                  'ota/v1/d/{device}/log',
                  'ota/v1/d/{device}/state',
                  'recovery/{device}/#',
                  'trust/v1/d/{device}/confirmed',
                ]
              : ['ota/v1/d/{device}/directive', 'recovery/{device}/#', 'trust/v1/anchors'];
          const granted =
            segment !== undefined &&
            [...base, ...own.map((right) => right.topic)].some((one) => covers(render(one, client.clientid, segment), topic));
          // A publish to a topic with a wildcard does not exist; a subscription with # in the middle neither (MQTT-4.7.1-1).
          fc.pre(action === 'subscribe' ? !topic.includes('#/') : !/[+#]/.test(topic));
          expect(permission).toBe(granted ? 'allow' : segment === undefined && mode === 'guest' ? 'none' : 'deny');
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['QoS 0 only', { qosMax: 0 as const }, '{publish,[{qos,[0]}]}'],
    ['QoS 0 and 1, not retained', { qosMax: 1 as const, retain: false }, '{publish,[{qos,[0,1]},{retain,false}]}'],
    ['any QoS', { qosMax: 2 as const }, 'publish'],
    ['retained or not', { retain: true }, 'publish'],
    ['not retained', { retain: false }, '{publish,[{retain,false}]}'],
  ])('publish options: %s', (_name, options, text) => {
    const { rules } = compile([{ segment: 'a.b', publish: [{ topic: 'x/y', ...options }], subscribe: [] }]);
    expect(printed(rules)).toContain(`{allow, {client_attr,"seg",{re,"^(?:a[.]b)$"}}, ${text}, ["x/y"]}.`);
  });
});

describe('what must not get into the text', () => {
  it('hostile names and topics: the segment is denied, and the text says what was meant', () => {
    fc.assert(
      fc.property(hostileRights, fc.constantFrom<'owned' | 'guest'>('owned', 'guest'), (segments, mode) => {
        const { rules, included, excluded } = compile(segments, { mode });
        const text = printBlock(rules, mode);
        expect(lint(text, rules)).toBeUndefined();
        const placeholders = new Set([...text.matchAll(/[$][{][^}]*[}]/g)].map(([one]) => one));
        for (const one of placeholders) expect(['$' + '{cert_common_name}', '$' + '{client_attrs.seg}']).toContain(one);
        for (const { segment } of segments) expect(included.has(segment) !== excluded.has(segment)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a subscription that ends in +', 'subscribe', 'cmd/{segment}/{device}/+'],
    ['a subscription that ends in +/#', 'subscribe', 'cmd/{segment}/{device}/+/#'],
    ['everything', 'publish', '#'],
    ['everything of one level', 'publish', '+/x'],
    ['a wildcard in the place of the segment', 'subscribe', 'dt/+/x'],
    ['everything under a word', 'publish', 'dt/#'],
    ['topics of the broker', 'subscribe', '$SYS/#'],
    ['a shared subscription', 'subscribe', '$share/g/x'],
    ['a # in the middle', 'subscribe', 'a/#/b'],
    ['half a level', 'publish', 'dt/{device}-x'],
    ['an unknown placeholder', 'publish', 'dt/{client}'],
    ["a placeholder of EMQX's own", 'publish', 'dt/$' + '{username}'],
    ['an empty level', 'publish', 'dt//x'],
    ['an empty topic', 'publish', ''],
    ['a quote', 'publish', 'dt/"'],
  ] as const)('%s excludes the whole segment', (_name, action, topic) => {
    const rights: SegmentRights = { segment: 'a.b', publish: [{ topic: 'ok/{device}' }], subscribe: [] };
    const { included, excluded, rules } = compile([{ ...rights, [action]: [...rights[action], { topic }] }]);
    expect(included.size).toBe(0);
    expect(excluded.get('a.b')?.code).toBe('HR-BRK-032');
    expect(decide(rules, clientOf('d.b', 'a.b'), { action: 'publish', topic: 'ok/d.b' })).toMatchObject({ permission: 'deny' });
  });

  it.each(['A.b', 'a.b.c', 'a', 'a.', '.b', 'a.b\n', 'a|b.c', 'a.b)$|(?:x'])('a segment named %j is left out', (segment) => {
    expect(compile([{ segment, publish: [{ topic: 'x/y' }], subscribe: [] }]).excluded.get(segment)?.code).toBe('HR-BRK-032');
  });
});

describe('the budget of rules', () => {
  const different = (count: number): SegmentRights[] =>
    Array.from({ length: count }, (_, i) => ({ segment: `s${i}.berlin`, publish: [{ topic: `only-${i}/{device}` }], subscribe: [] }));

  it('is kept, and what is left out is denied and named', () => {
    const { rules, included, excluded } = compile(different(200));
    expect(rules.length).toBeLessThanOrEqual(RULE_BUDGET);
    expect(included.size).toBeGreaterThan(90);
    expect(included.size + excluded.size).toBe(200);
    expect([...excluded.values()].every((why) => why.code === 'HR-BRK-031')).toBe(true);
  });

  it('the newest are left out, never one that had its rights before', () => {
    const segments = different(200);
    const { included } = compile(segments, { age: (segment) => (Number(segment.slice(1, -7)) >= 150 ? 0 : 1) });
    for (let i = 150; i < 200; i++) expect(included.has(`s${i}.berlin`)).toBe(true);
  });

  it('a segment that shares its rules with others costs nothing', () => {
    const { excluded, included } = compile([...different(200), ...alike(10).map((one) => ({ ...one, segment: `z-${one.segment}` }))], {
      age: (segment) => (segment.startsWith('z-') ? 0 : 1),
    });
    expect([...included.keys()].filter((name) => name.startsWith('z-'))).toHaveLength(10);
    expect(excluded.size).toBeGreaterThan(0);
  });

  it('holds for any rights', () => {
    fc.assert(
      fc.property(
        fc.array(rightsOf(fc.integer({ min: 0, max: 400 }).map((i) => `s${i}.x`)), { maxLength: 60 }),
        fc.integer({ min: 10, max: 40 }),
        (rights, budget) => {
          expect(compile(rights, { budget }).rules.length).toBeLessThanOrEqual(budget);
        },
      ),
    );
  });
});

describe('topics of other segments', () => {
  const readers = (count: number, topics: number): SegmentRights[] =>
    Array.from({ length: count }, (_, i) => ({
      segment: `r${i}.berlin`,
      publish: [],
      subscribe: [
        { topic: 'cmd/{segment}/{device}/#' },
        ...Array.from({ length: topics }, (_, t) => ({ topic: `dt/s${t + i * topics}.berlin/+/t` })),
      ],
    }));

  it('are one rule for all of one segment, and take nothing from what it shares with others', () => {
    const before = compile(readers(1, 0)).rules.length;
    expect(compile(readers(1, 1000)).rules).toHaveLength(before + 1);
    expect(compile(readers(5, 100)).rules).toHaveLength(before + 5);
  });

  it('segments that have the same ones share a rule', () => {
    const same = readers(1, 50).flatMap((one) => [one, { ...one, segment: 'r-2.berlin' }]);
    expect(compile(same).rules).toHaveLength(compile(readers(1, 50)).rules.length);
  });

  it('have a budget: what is beyond is denied and named, the newest first', () => {
    const { included, excluded, rules } = compile(readers(3, 40), { literals: 100, age: (segment) => (segment === 'r0.berlin' ? 9 : 1) });
    expect([[...included.keys()], [...excluded.keys()]]).toEqual([['r1.berlin', 'r2.berlin'], ['r0.berlin']]);
    expect(excluded.get('r0.berlin')).toMatchObject({ code: 'HR-BRK-031', found: expect.stringContaining('40 topics of other segments') });
    expect(decide(rules, clientOf('d.berlin', 'r0.berlin'), { action: 'subscribe', topic: 'cmd/r0.berlin/d.berlin/x' })?.permission).toBe(
      'deny',
    );
  });
});

describe('segments that EMQX refused', () => {
  it('are denied right behind what every device keeps', () => {
    const { rules } = compile(alike(2), { refused: new Map([['s1.berlin', { code: 'HR-BRK-030', found: 'x' }]]) });
    expect(printed(rules)[3]).toBe('{deny, {client_attr,"seg",{re,"^(?:s1[.]berlin)$"}}, all, all}.');
    const client = clientOf('t.berlin', 's1.berlin');
    expect(decide(rules, client, { action: 'publish', topic: 'dt/s1.berlin/t.berlin/x' })?.permission).toBe('deny');
    expect(decide(rules, client, { action: 'publish', topic: 'ota/v1/d/t.berlin/hello' })?.permission).toBe('allow');
  });
});

describe('whom to trust as the broker', () => {
  const client = clientOf('t.berlin', 's1.berlin');
  const { rules } = compile(alike(2));
  it.each<[permission: 'allow' | 'deny', action: 'publish' | 'subscribe', topic: string]>([
    ['allow', 'subscribe', 'trust/v1/anchors'],
    ['deny', 'publish', 'trust/v1/anchors'],
    ['allow', 'publish', 'trust/v1/d/t.berlin/confirmed'],
    ['deny', 'publish', 'trust/v1/d/u.berlin/confirmed'],
    ['deny', 'subscribe', 'trust/v1/d/u.berlin/confirmed'],
    ['deny', 'subscribe', 'trust/v1/d/+/confirmed'],
    ['deny', 'subscribe', 'trust/v1/#'],
    ['deny', 'subscribe', '+/v1/anchors'],
    ['deny', 'publish', 'trust/v1/d/t.berlin/confirmed/x'],
  ])('%s %s %s', (permission, action, topic) => {
    expect(decide(rules, client, { action, topic })?.permission).toBe(permission);
  });

  it('costs no rule more', () => expect(compile([]).rules).toHaveLength(4));
});

it('the block is read back as it was meant', () => {
  const { rules } = compile(alike(3));
  const parsed = parseAcl(printBlock(rules, 'owned'));
  expect(parsed.ok && parsed.rules.map((rule) => rule.term)).toEqual(rules);
});
