import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { intersection, isWithin, widest } from './filter.ts';

describe('what two filters have in common', () => {
  it.each([
    ['a/b', 'a/b', 'a/b'],
    ['a/b', 'a/c', undefined],
    ['a/+', 'a/c', 'a/c'],
    ['a/+/c', '+/b/+', 'a/b/c'],
    ['a/#', 'a/b/c', 'a/b/c'],
    ['a/#', 'a/+/#', 'a/+/#'],
    ['a/#', 'a', 'a'],
    ['a/b/#', 'a/#', 'a/b/#'],
    ['a/b', 'a/b/c', undefined],
    ['1/+/3/+/5/#', '+/2/+/4/+', '1/2/3/4/5'],
    ['a/{device}/x', 'a/+/x', 'a/{device}/x'],
    ['a/{device}', 'a/{device}', 'a/{device}'],
    ['a/{device}', 'a/t.berlin', undefined],
  ])('%s and %s: %s', (a, b, both) => {
    expect(intersection(a, b)).toBe(both);
    expect(intersection(b, a)).toBe(both);
  });

  const paths = (words: readonly string[], depth: number): string[] =>
    depth === 1 ? [...words] : [...words, ...paths(words, depth - 1).flatMap((rest) => words.map((word) => `${word}/${rest}`))];
  const filters = [...paths(['a', 'b', '+'], 3), ...paths(['a', 'b', '+'], 2).map((path) => `${path}/#`), '#'];
  const topics = paths(['a', 'b'], 4);

  it('it matches exactly the topics that both match: all filters of up to three levels', () => {
    const matched = new Map(filters.map((filter) => [filter, new Set(topics.filter((topic) => matches(filter, topic)))]));
    let common = 0;
    for (const a of filters)
      for (const b of filters) {
        const both = intersection(a, b);
        const expected = topics.filter((topic) => matched.get(a)?.has(topic) && matched.get(b)?.has(topic));
        if (both !== undefined) common++;
        expect({ a, b, matched: topics.filter((topic) => both !== undefined && matches(both, topic)) }).toEqual({
          a,
          b,
          matched: expected,
        });
      }
    expect(common).toBeGreaterThan(filters.length);
  });

  it('it ends in + or +/# only when one of them does: nothing widens at the broker', () => {
    const widens = (filter: string): boolean => /(^|\/)[+](\/#)?$/.test(filter);
    fc.assert(
      fc.property(fc.constantFrom(...filters), fc.constantFrom(...filters), (a, b) => {
        fc.pre(!widens(a) && !widens(b));
        expect(widens(intersection(a, b) ?? 'none')).toBe(false);
      }),
    );
  });

  it('of several only those are kept that no other one contains', () => {
    expect(widest(['a/b', 'a/#', 'c/+/d', 'c/x/d', 'a/#'])).toEqual(['a/#', 'c/+/d']);
    expect(isWithin('a/b', 'a/+')).toBe(true);
    expect(isWithin('a/+', 'a/b')).toBe(false);
  });
});

/** MQTT 5 §4.7, from its words. */
function matches(filter: string, topic: string): boolean {
  const [wanted, words] = [filter.split('/'), topic.split('/')];
  const end = wanted.indexOf('#');
  if (end === -1 ? wanted.length !== words.length : words.length < end) return false;
  return wanted.slice(0, end === -1 ? undefined : end).every((level, i) => level === '+' || level === words[i]);
}
