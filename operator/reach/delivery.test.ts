import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, type Reading, rightsOf } from './acl-rights.ts';
import type { AclClient } from './acl-who.ts';
import { type Delivery, deliveries, deliveriesOf } from './delivery.ts';
import { deliveryGroups } from './delivery-groups.ts';
import { aclText, brokerOf, CLIENTS, clientOf } from './testing/acl.ts';
import { isFilter, levelsOf, matches } from './topic.ts';

const [sender, reader] = [clientOf('d1.x', 'a.x'), clientOf('d2.x', 'b.x')];
const told = (text: string, from: AclClient = sender, to: AclClient = reader) =>
  deliveries(from, to, brokerOf(text)).map(
    ({ topic, except, subscription, publish, subscribe, retained, sure }) =>
      `${[topic, ...except].join(' but ')} by ${subscription}, rules ${publish.line} and ${subscribe.line}${retained ? ', retained' : ''}${sure ? '' : ', perhaps'}`,
  );

describe('what one publishes reaches the other', () => {
  it.each<[string, string, string[]]>([
    [
      'where filters meet',
      `{allow, all, publish, ["dt/$\{clientid}/#"]}.\n{allow, all, subscribe, ["dt/+/t"]}.`,
      ['dt/d1.x/t by dt/+/t, rules 1 and 2, retained'],
    ],
    ['not where they do not', `{allow, all, publish, ["dt/$\{clientid}/#"]}.\n{allow, all, subscribe, ["cmd/#"]}.`, []],
    [
      'not when a rule above denies',
      `{deny, all, publish, ["dt/#"]}.\n{allow, all, publish, ["dt/$\{clientid}/#"]}.\n{allow, all, subscribe, ["#"]}.`,
      [],
    ],
    [
      'by a wildcard where only the one topic is denied',
      '{deny, all, subscribe, ["dt/a"]}.\n{allow, all, publish, ["dt/a"]}.\n{allow, all, subscribe, ["dt/+"]}.',
      ['dt/a by dt/#, rules 2 and 3, retained'],
    ],
    [
      'by # where a right ends in +',
      '{allow, all, publish, ["dt/a/b"]}.\n{allow, all, subscribe, ["dt/+"]}.',
      ['dt/a/b by dt/#, rules 1 and 2, retained'],
    ],
    [
      'not by # that is denied letter by letter',
      '{deny, all, subscribe, [{eq, "dt/#"}]}.\n{allow, all, publish, ["dt/a/b"]}.\n{allow, all, subscribe, ["dt/+"]}.',
      [],
    ],
    [
      'but what is taken away',
      '{deny, all, publish, ["dt/secret"]}.\n{allow, all, {publish, [{retain, false}]}, ["dt/+"]}.\n{allow, all, subscribe, ["dt/+"]}.',
      ['dt/+ but dt/secret by dt/#, rules 2 and 3'],
    ],
    ['not by # the topics of the broker', '{allow, all, publish, ["$SYS/x"]}.\n{allow, all, subscribe, ["#"]}.', []],
    ['everything', '{allow, all}.', ['# by #, rules 1 and 1, retained', '$…/# by $…/#, rules 1 and 1, retained']],
    ['nothing for who has not the attribute', '{allow, {client_attr,"seg","c.x"}, publish, ["a"]}.\n{allow, all, subscribe, ["a"]}.', []],
    [
      'perhaps, where a rule is not understood',
      '{allow, {zone, "z"}, publish, ["a"]}.\n{allow, {clientid, "d2.x"}, subscribe, ["b"]}.\n{deny, all}.',
      ['# by #, rules 1 and 1, retained, perhaps'],
    ],
  ])('%s', (_name, text, wanted) => {
    expect(told(text).slice(0, wanted.length || 1)).toEqual(wanted);
  });
});

/** Every topic and every subscription of up to three words of these. */
const WORDS = ['a', 'b', 'd1.x', 'd2.x', 'd3.x', 'a.x', 'b.x', 'new', '$SYS'];
const texts = (words: readonly string[], depth: number): string[] => {
  let last = [''];
  const all: string[] = [];
  for (let length = 1; length <= depth; length++) {
    last = last.flatMap((head) => words.map((word) => (length === 1 ? word : `${head}/${word}`)));
    all.push(...last);
  }
  return all;
};
const TOPICS = texts(WORDS, 2).map(levelsOf);
const QOS = [0, 1, 2] as const;

function bruteForce(from: AclClient, to: AclClient, text: string, reading: Reading): string[] {
  const broker = brokerOf(text);
  const [ours, theirs] = [rightsOf(from, broker), rightsOf(to, broker)];
  const filters = texts([...WORDS, '+', '#'], 3)
    .map(levelsOf)
    .filter(isFilter)
    .filter((levels) => QOS.some((qos) => decide(theirs, { action: 'subscribe', levels, qos, retain: false }, reading).allowed));
  return TOPICS.filter(
    (levels) =>
      QOS.some((qos) => [true, false].some((retain) => decide(ours, { action: 'publish', levels, qos, retain }, reading).allowed)) &&
      filters.some((filter) => matches(levels, filter)),
  ).map((levels) => levels.join('/'));
}

it('no topic is forgotten, none is made up, and empty means none', { timeout: 120_000 }, () => {
  let some = 0;
  fc.assert(
    fc.property(aclText, fc.constantFrom(...CLIENTS), fc.constantFrom(...CLIENTS), (text, from, to) => {
      const found = deliveries(from, to, brokerOf(text));
      const real = bruteForce(from, to, text, 'may');
      const says = (topic: string): boolean =>
        found.some(({ topic: filter }) => matches(levelsOf(topic), levelsOf(filter)) || (filter.startsWith('$…') && topic.startsWith('$')));
      expect(real.filter((topic) => !says(topic))).toEqual([]);
      // Each delivery happens: for the topics of up to two levels that can be seen, but for what is taken away.
      for (const { topic, except } of found) {
        const own = TOPICS.filter((levels) => matches(levels, levelsOf(topic))).filter(
          (levels) => !except.some((one) => matches(levels, levelsOf(one))),
        );
        const full = topic.split('/').length <= 2 && !topic.includes('#') && !topic.includes('$');
        if (full && own.length > 0) expect(own.some((levels) => real.includes(levels.join('/')))).toBe(true);
        some++;
      }
    }),
    { numRuns: 300 },
  );
  expect(some).toBeGreaterThan(200);
});

it('asked for one topic, there is an answer exactly where the topic gets through', { timeout: 120_000 }, () => {
  const seen = { through: 0, kept: 0 };
  fc.assert(
    fc.property(aclText, fc.constantFrom(...CLIENTS), fc.constantFrom(...CLIENTS), (text, from, to) => {
      const broker = brokerOf(text);
      const real = new Set(bruteForce(from, to, text, 'may'));
      for (const levels of TOPICS) {
        const through = real.has(levels.join('/'));
        expect([levels, deliveriesOf(rightsOf(from, broker), rightsOf(to, broker), levels).length > 0]).toEqual([levels, through]);
        seen[through ? 'through' : 'kept']++;
      }
    }),
    { numRuns: 60 },
  );
  expect(Math.min(seen.through, seen.kept)).toBeGreaterThan(100);
});

describe('groups', () => {
  const TEXT = [
    `{allow, {client_attr,"seg",{re,"^(?:a[.]x|b[.]x)$"}}, publish, ["dt/$\{client_attrs.seg}/$\{clientid}/#"]}.`,
    '{allow, {client_attr,"seg","b.x"}, subscribe, ["dt/a.x/+/t", "dt/b.x/d7.x/#"]}.',
    '{deny, all}.',
  ].join('\n');
  const fleet = Array.from({ length: 40 }, (_, at) => clientOf(`d${at}.x`, at % 2 === 0 ? 'a.x' : 'b.x'));

  it('are the segments, and who is named', () => {
    const { groups } = deliveryGroups(fleet, brokerOf(TEXT));
    expect(groups.map(({ members }) => members.length)).toEqual([20, 19, 1]);
  });

  it('are single devices where a name is a part of a level: it could make the word of another one', () => {
    const { groups } = deliveryGroups(
      fleet,
      brokerOf(`{allow, all, publish, ["x-$\{clientid}/t"]}.\n{allow, all, subscribe, ["$\{clientid}/#"]}.`),
    );
    expect(groups).toHaveLength(fleet.length);
  });

  it('say of each pair what the pair says, but for the names', () => {
    fc.assert(
      fc.property(fc.oneof(fc.constant(TEXT), aclText), (text) => {
        const broker = brokerOf(text);
        const { groups, between } = deliveryGroups(fleet.slice(0, 8).concat(CLIENTS.slice(3)), broker);
        // Names are filled in, or those that stand in the answer are words of the rules. What a proof quotes is the same for all.
        const filled = /\$\{(clientid|cert_common_name)\}/.test(text);
        const shape = (from: AclClient, to: AclClient, found: readonly Delivery[]) => {
          const shown = JSON.stringify(found.map((one) => ({ ...one, publish: one.publish.line, subscribe: one.subscribe.line })));
          return filled ? shown.replaceAll(from.clientid, 'FROM').replaceAll(to.clientid, 'TO') : shown;
        };
        for (const from of groups)
          for (const to of groups) {
            const [first, second] = [from.members[0], from === to ? to.members[1] : to.members[0]];
            if (first === undefined || second === undefined) continue;
            const wanted = shape(first, second, between(from, to) ?? []);
            for (const a of from.members)
              for (const b of to.members) if (a !== b) expect(shape(a, b, deliveries(a, b, broker))).toBe(wanted);
          }
      }),
      { numRuns: 60 },
    );
  });

  it('within a filter, which may name a device, let through what some pair does', () => {
    const few = fleet.slice(0, 6);
    const filter = fc.constantFrom('dt/a.x/d2.x/t', 'dt/+/d4.x/#', 'dt/a.x/d1.x/t', 'd2.x', '+/d3.x', 'dt/#', 'b/d2.x');
    fc.assert(
      fc.property(fc.oneof(fc.constant(TEXT), aclText), filter, (text, named) => {
        const broker = brokerOf(text);
        const within = levelsOf(named);
        const { groups, between } = deliveryGroups(few, broker, within);
        const some = few.some((a) => few.some((b) => a !== b && deliveriesOf(rightsOf(a, broker), rightsOf(b, broker), within).length > 0));
        expect(groups.some((a) => groups.some((b) => (between(a, b) ?? []).length > 0))).toBe(some);
      }),
      { numRuns: 300 },
    );
  });

  it('of 10,000 devices in 50 segments are 50, each pair asked once', { timeout: 60_000 }, () => {
    const many = Array.from({ length: 10_000 }, (_, at) => clientOf(`m${at}.x`, `s${at % 50}.x`));
    const text = `{allow, {client_attr,"seg",{re,"^s[0-9]+[.]x$"}}, publish, ["dt/$\{client_attrs.seg}/$\{clientid}/#"]}.\n{allow, {client_attr,"seg","s1.x"}, subscribe, ["dt/+/+/t"]}.\n{deny, all}.`;
    const { groups, between } = deliveryGroups(many, brokerOf(text));
    expect(groups).toHaveLength(50);
    const pairs = groups.flatMap((from) => groups.filter((to) => (between(from, to) ?? []).length > 0));
    expect(pairs).toHaveLength(50);
  });
});
