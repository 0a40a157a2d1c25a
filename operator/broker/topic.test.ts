import { describe, expect, it } from 'vitest';
import { covers, uncovered, unsafeTopic } from './topic.ts';

describe('what a grant covers', () => {
  it.each([
    ['cmd/a/#', 'cmd/a/#', true],
    ['cmd/a/#', 'cmd/a/b/+', true],
    ['cmd/a/#', 'cmd/a', true],
    ['cmd/a/#', 'cmd/#', false],
    ['cmd/a/#', 'cmd/+/b', false],
    ['dt/+/t', 'dt/x/t', true],
    ['dt/+/t', 'dt/+/t', true],
    ['dt/+/t', 'dt/#', false],
    ['cmd/+', 'cmd/#', false],
    ['cmd/+', 'cmd/x/y', false],
    ['#', '$SYS/x', false],
    ['a/b', 'a/b', true],
    ['a/b', 'a/b/c', false],
    ['a/b/c', 'a/b', false],
  ])('%s covers %s: %s', (grant, filter, expected) => expect(covers(grant, filter)).toBe(expected));

  it('every name that a covered filter matches is matched by the grant: all filters of up to three levels', () => {
    const names = paths(['a', 'b', '$x'], 4);
    const filters = [...paths(['a', 'b', '$x', '+'], 3), ...paths(['a', 'b', '$x', '+'], 2).map((path) => `${path}/#`), '#'];
    let covered = 0;
    for (const wanted of filters) {
      const matched = names.filter((name) => matches(wanted, name));
      for (const grant of filters) {
        if (!covers(grant, wanted)) continue;
        covered++;
        for (const name of matched) if (!matches(grant, name)) expect.fail(`${grant} covers ${wanted} but not ${name}`);
      }
    }
    expect(covered).toBeGreaterThan(filters.length);
  });
});

/** All topics of up to `depth` levels of these words. */
function paths(words: readonly string[], depth: number): string[] {
  if (depth === 1) return [...words];
  return [...words, ...paths(words, depth - 1).flatMap((path) => words.map((word) => `${word}/${path}`))];
}

/** MQTT 5 §4.7, by a regular expression and not by the code under test. */
function matches(filter: string, name: string): boolean {
  if (name.startsWith('$') && /^[+#]/.test(filter)) return false;
  const pattern = filter
    .split('/')
    .map((level) => (level === '+' ? '[^/]*' : level === '#' ? '.*' : level.replaceAll('$', '[$]')))
    .join('/')
    .replace(/[/][.][*]$/, '(/.*)?');
  return new RegExp(`^${pattern}$`).test(name);
}

describe('subscriptions that rights do not cover', () => {
  it.each<[string, string[], string[]]>([
    ['all are covered', ['cmd/a/x', 'ota/#'], []],
    ['one is not', ['cmd/a/x', 'cmd/b/x'], ['cmd/b/x']],
    ['a shared one is judged by its filter', ['$share/g/cmd/a/x', '$share/g/cmd/b/x'], ['$share/g/cmd/b/x']],
    ['a queue too', ['$queue/cmd/a/x', '$queue/#'], ['$queue/#']],
    ['what cannot be read is not covered', ['$share/g', '$share/', ''], ['$share/g', '$share/', '']],
  ])('%s', (_name, subscriptions, expected) => expect(uncovered(subscriptions, ['cmd/a/#', 'ota/#'])).toEqual(expected));
});

describe('topics that may be granted', () => {
  it.each(['dt/{segment}/{device}/#', 'cmd/{segment}/+/x', 'agg/berlin/#', 'a', 'a.b:c@d~e=f-g_h/x/#'])('%s', (topic) =>
    expect(unsafeTopic(topic, 'subscribe')).toBeUndefined(),
  );
});
