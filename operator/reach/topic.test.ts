import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  covers,
  EVERYTHING,
  intersection,
  isFilter,
  type Levels,
  levelsOf,
  matches,
  receivable,
  subscribedFilter,
  topicText,
  typicalTopics,
} from './topic.ts';

const sequences = (words: readonly string[], longest: number): Levels[] => {
  let all: Levels[] = [[]];
  const found: Levels[] = [];
  for (let length = 1; length <= longest; length++) {
    all = all.flatMap((head) => words.map((word) => [...head, word]));
    found.push(...all);
  }
  return found;
};
/** `$s` only at the first level means something of its own. */
const TOPICS = sequences(['a', 'b', '$s'], 5).filter((topic) => !topic.slice(1).includes('$s'));
const FILTERS = sequences(['a', 'b', '+', '#', '$s'], 3).filter((filter) => isFilter(filter) && !filter.slice(1).includes('$s'));

/** MQTT 5 §4.7 once more, by a regular expression. */
const regexOf = (filter: Levels): RegExp => {
  const system = filter[0] === '+' || filter[0] === '#' ? '(?![$])' : '';
  const parts = filter.map((level, at) =>
    level === '#' ? (at === 0 ? '.*' : '(/.*)?') : `${at === 0 ? '' : '/'}${level === '+' ? '[^/]*' : level.replace('$', '[$]')}`,
  );
  return new RegExp(`^${system}${parts.join('')}$`);
};

describe('filters of two words and up to three levels, all pairs, against all topics', () => {
  const held = new Map(FILTERS.map((filter) => [filter, new Set(TOPICS.filter((topic) => regexOf(filter).test(topic.join('/'))))]));
  const topicsOf = (filter: Levels) => held.get(filter) ?? new Set<Levels>();

  it('a topic is held as MQTT says', () => {
    for (const filter of FILTERS) expect(TOPICS.filter((topic) => matches(topic, filter))).toEqual([...topicsOf(filter)]);
  });

  it('what two have in common is a filter that holds exactly that', () => {
    for (const a of FILTERS)
      for (const b of FILTERS) {
        const both = intersection(a, b);
        const wanted = [...topicsOf(a)].filter((topic) => topicsOf(b).has(topic));
        expect(both === undefined ? [] : TOPICS.filter((topic) => matches(topic, both))).toEqual(wanted);
        expect(both === undefined).toBe(wanted.length === 0);
      }
  });

  it('one covers another when it holds all of its topics', () => {
    for (const a of FILTERS)
      for (const b of FILTERS) expect(covers([a], b)).toBe([...topicsOf(b)].every((topic) => topicsOf(a).has(topic)));
  });

  it('what a right to subscribe lets a client receive is what the subscriptions hold that EMQX lets through', () => {
    for (const right of FILTERS) {
      const subscriptions = FILTERS.filter((filter) => matches(filter, right));
      const wanted = TOPICS.filter((topic) => subscriptions.some((filter) => matches(topic, filter)) || matches(topic, right));
      expect(TOPICS.filter((topic) => matches(topic, receivable(right)))).toEqual(wanted);
    }
  });
});

it('several filters cover one that none of them covers, by their number of levels', () => {
  expect(covers([['a'], ['a', '+'], ['a', '+', '+', '#']], ['a', '#'])).toBe(true);
  expect(covers([['a'], ['a', '+', '+', '#']], ['a', '#'])).toBe(false);
  expect(covers(EVERYTHING, ['$SYS', '#'])).toBe(true);
  expect(covers([['#']], ['$SYS', '#'])).toBe(false);
});

it('a topic with words that no filter says stands for all topics with as many levels', () => {
  const level = fc.constantFrom('a', 'b', '+', '$s');
  const filter = fc
    .tuple(fc.array(level, { maxLength: 3 }), fc.boolean())
    .map(([head, open]) => (open ? [...head, '#'] : head))
    .filter(isFilter);
  fc.assert(
    fc.property(filter, fc.array(filter, { maxLength: 4 }), (one, others) => {
      for (const typical of typicalTopics(one, 5)) {
        const alike = TOPICS.filter((topic) => topic.length === typical.length && matches(topic, one));
        const all = others.some((other) => alike.every((topic) => matches(topic, other)));
        // Two words are few: several filters may hold both of them and not a third one. Never the other way round.
        if (others.some((other) => matches(typical, other))) expect(all).toBe(true);
      }
    }),
  );
});

it.each([
  ['a/+', 'a/#'],
  ['a/+/#', 'a/#'],
  ['+', '#'],
  ['a/+/+', 'a/+/#'],
  ['a/+/b', 'a/+/b'],
  ['a/#', 'a/#'],
])('a right to subscribe to %s is one to receive %s', (right, wide) => expect(topicText(receivable(levelsOf(right)))).toBe(wide));

it.each([
  ['$share/g/a/b', 'a/b'],
  ['$share/g/#', '#'],
  ['$queue/a', 'a'],
  ['a/b', 'a/b'],
  ['$SYS/#', '$SYS/#'],
  ['$share/g', undefined],
  ['$share/g/', undefined],
  ['$share//a', undefined],
  ['$share/+/a', undefined],
  ['$share/g/$share/h/a', undefined],
  ['$queue/$queue/a', undefined],
  ['a/#/b', undefined],
  ['a+', undefined],
  ['', undefined],
])('a subscription %j asks for %j', (text, wanted) => {
  const filter = subscribedFilter(text);
  expect(filter && topicText(filter)).toBe(wanted);
});

it('everything is shown with the topics of the broker by their dollar', () => expect(EVERYTHING.map(topicText)).toEqual(['#', '$…/#']));
