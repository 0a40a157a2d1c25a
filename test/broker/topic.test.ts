import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Session } from './session.ts';
import { isTopicFilter, isTopicName, matches, parseDelayed, parseSubscription } from './topic.ts';
import { type Subscriber, TopicTree } from './topic-tree.ts';

describe('matching', () => {
  const cases: [string, string, boolean][] = [
    ['a/b', 'a/b', true],
    ['a/b', 'a/+', true],
    ['a/b/c', 'a/+', false],
    ['a', 'a/#', true],
    ['a/b/c', 'a/#', true],
    ['a', '+/#', true],
    ['$SYS/x', '#', false],
    ['$SYS/x', '+/x', false],
    ['$SYS/x', '$SYS/#', true],
    ['a//b', 'a/+/b', true],
    ['a', 'a/#/b', false],
    ['t/#', 't/+', true],
    ['t/#', 't/+/#', true],
    ['t/#', 't/+/x', false],
  ];
  it.each(cases)('%s against %s: %s', (topic, filter, expected) => expect(matches(topic, filter)).toBe(expected));
});

describe('filters and names', () => {
  it.each(['a/#/b', 'a#', 'a/b+', '', 'a\0'])('%j is no filter', (filter) => expect(isTopicFilter(filter)).toBe(false));
  it.each(['a/+', '#', '', 'a\0'])('%j is no name', (name) => expect(isTopicName(name)).toBe(false));

  const groups: [string, ReturnType<typeof parseSubscription>][] = [
    ['a/b', { filter: 'a/b' }],
    ['$share/g/a/b', { filter: 'a/b', group: 'g' }],
    ['$queue/a', { filter: 'a', group: '$queue' }],
    ['$share/g', undefined],
    ['$share//a', undefined],
    ['$share/+/a', undefined],
    ['$share/g/$share/h/a', undefined],
    ['$queue/$share/g/a', undefined],
  ];
  it.each(groups)('%s is read as %o', (raw, expected) => expect(parseSubscription(raw)).toEqual(expected));

  const delays: [string, ReturnType<typeof parseDelayed>][] = [
    ['a/b', undefined],
    ['$delayed/5/a/b', { afterSeconds: 5, topic: 'a/b' }],
    ['$delayed/4294967/a', { afterSeconds: 4294967, topic: 'a' }],
    ['$delayed/4294968/a', 'malformed'],
    ['$delayed/x/a', 'malformed'],
    ['$delayed/1', 'malformed'],
  ];
  it.each(delays)('%s is read as %o', (topic, expected) => expect(parseDelayed(topic)).toEqual(expected));
});

describe('the tree of subscriptions', () => {
  const word = fc.constantFrom('a', 'b', 'c', '', '$SYS');
  const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('/'));
  const filter = fc
    .tuple(fc.array(fc.oneof(word, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([words, hash]) => [...words, ...(hash ? ['#'] : [])].join('/'));
  const subscriber = (text: string): Subscriber => ({
    session: { connection: undefined } as unknown as Session,
    raw: text,
    filter: text,
    options: { qos: 1, nl: false, rap: false, rh: 0 },
  });

  it('finds exactly those that match one by one, after any additions and removals', () => {
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 12 }), fc.array(fc.nat(11)), name, (filters, removed, topic) => {
        const tree = new TopicTree();
        const all = filters.map(subscriber);
        for (const one of all) tree.add(one);
        const gone = new Set(removed.flatMap((at) => all[at] ?? []));
        for (const one of gone) tree.remove(one);
        const expected = all.filter((one) => !gone.has(one) && matches(topic, one.filter));
        expect(new Set(tree.match(topic))).toEqual(new Set(expected));
        expect(tree.size).toBe(all.length - gone.size);
      }),
    );
  });

  it('hands a message to one member of a group, in turn', () => {
    const tree = new TopicTree();
    const members = ['1', '2', '3'].map((raw) => ({ ...subscriber('a'), raw, group: 'g' }));
    for (const member of members) tree.add(member);
    const turns = Array.from({ length: 6 }, () =>
      tree
        .match('a')
        .map((one) => one.raw)
        .join(),
    );
    expect(turns).toEqual(['1', '2', '3', '1', '2', '3']);
  });
});
