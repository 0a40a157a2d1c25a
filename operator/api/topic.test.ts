import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyTopic, goodTopic } from './testing/topics.ts';
import { grantProblem, grantRules, MAX_TOPIC_LENGTH, type TopicAction, topicPattern, topicProblem, topicRules } from './topic.ts';

const OWN = 'dt/{segment}/{device}';

describe('a topic filter', () => {
  it.each<[sentence: string, filter: string, action: TopicAction]>([
    ['telemetry of a device', `${OWN}/#`, 'publish'],
    ['a single stream', `${OWN}/temperature`, 'publish'],
    ['a single level, to publish', `${OWN}/+`, 'publish'],
    ['a single level in the middle, to subscribe', `${OWN}/+/state`, 'subscribe'],
    ['a word for the whole segment', 'cmd/{segment}/announcement', 'subscribe'],
    ['aggregates of a site', 'agg/berlin/#', 'publish'],
    ['alerts of a site', 'alert/berlin/gateways/fire', 'publish'],
    ['a word that only begins like a reserved one', 'otaku/{segment}/x', 'publish'],
    ['a topic of another segment', 'dt/doors.berlin/+/state', 'subscribe'],
    ['a topic of every segment', 'dt/+/+/state', 'subscribe'],
    ['everything under a word', 'dt/#', 'subscribe'],
    ['eight levels', `${OWN}/4/5/6/7/8`, 'publish'],
    ['256 characters', `${OWN}/${'x'.repeat(MAX_TOPIC_LENGTH - OWN.length - 1)}`, 'publish'],
  ])('may be %s', (_sentence, filter, action) => expect(topicProblem(filter, action)).toBeUndefined());

  it.each<[sentence: string, filter: string, action: TopicAction, code: string]>([
    ['empty', '', 'publish', 'HR-API-003'],
    ['257 characters long', `${OWN}/${'x'.repeat(MAX_TOPIC_LENGTH - OWN.length)}`, 'publish', 'HR-API-003'],
    ['the segment and nothing below it', 'dt/{segment}', 'publish', 'HR-API-004'],
    ['a subscription that ends in +', `${OWN}/+`, 'subscribe', 'HR-API-003'],
    ['a subscription that ends in +/#', `${OWN}/+/#`, 'subscribe', 'HR-API-003'],
    ['+ alone', '+', 'subscribe', 'HR-API-003'],
    ['# alone', '#', 'subscribe', 'HR-API-004'],
    ['a wildcard for the segment and nothing below it', 'dt/+', 'publish', 'HR-API-004'],
    ['another segment and nothing below it', 'dt/doors.berlin', 'publish', 'HR-API-004'],
    ['of nobody: a name without a namespace', 'dt/doors/x', 'publish', 'HR-API-004'],
    ["every site's aggregates", 'agg/#', 'subscribe', 'HR-API-004'],
    ["some site's alerts", 'alert/+/x', 'subscribe', 'HR-API-004'],
    ['everything under a reserved word', 'ota/#', 'subscribe', 'HR-API-004'],
    ['a broker topic', '$SYS/brokers', 'subscribe', 'HR-API-003'],
    ['a firmware topic', 'ota/{segment}/x', 'publish', 'HR-API-004'],
    ['a recovery topic', 'recovery/{segment}/{device}/x', 'subscribe', 'HR-API-004'],
    ['exactly the reserved word', 'recovery', 'subscribe', 'HR-API-004'],
    ['a placeholder of the broker', 'dt/{segment}/%c/x', 'publish', 'HR-API-003'],
    ['nine levels', `${OWN}/4/5/6/7/8/9`, 'publish', 'HR-API-003'],
    ['a NUL character', `${OWN}/x\0`, 'publish', 'HR-API-003'],
    ['a line break at the end', `${OWN}/x\n`, 'publish', 'HR-API-003'],
  ])('may not be %s', (_sentence, filter, action, code) => expect(topicProblem(filter, action)?.code).toBe(code));
});

describe.each<TopicAction>(['publish', 'subscribe'])('to %s', (action) => {
  const pattern = new RegExp(topicPattern(action));
  const rules = topicRules(action).map(({ rule }) => {
    const match = /^(!?)self\.matches\('([^']+)'\)$/.exec(rule);
    if (match === null) throw new Error(`${rule} is not in the form that this test reads`);
    return { not: match[1] === '!', pattern: new RegExp(match[2] ?? '') };
  });
  const byRules = (filter: string): boolean => rules.every((rule) => rule.pattern.test(filter) !== rule.not);

  it('pattern, rules and check are one language', () => {
    fc.assert(
      fc.property(anyTopic(), (filter) => {
        const fits = filter !== '' && filter.length <= MAX_TOPIC_LENGTH;
        expect({ filter, pattern: fits && pattern.test(filter), rules: fits && byRules(filter) }).toEqual({
          filter,
          pattern: topicProblem(filter, action) === undefined,
          rules: topicProblem(filter, action) === undefined,
        });
      }),
      { numRuns: 3000 },
    );
  }, 60_000);

  it('what is granted holds nothing that could be read in another way', () => {
    fc.assert(
      fc.property(goodTopic(), (filter) => {
        fc.pre(topicProblem(filter, action) === undefined);
        const levels = filter.split('/');
        expect(filter).toMatch(/^[A-Za-z0-9._:@~=/{}+#-]+$/);
        expect(levels.length).toBeLessThanOrEqual(8);
        expect(levels).not.toContain('');
        for (const [n, level] of levels.entries()) {
          if (level.includes('#')) expect([level, n]).toEqual(['#', levels.length - 1]);
          if (level.includes('+')) expect(level).toBe('+');
          if (/[{}]/.test(level)) expect(['{device}', '{segment}']).toContain(level);
        }
        // The first two levels say whose it is; of a site always by name, and nobody has the topics that every device keeps.
        expect(levels[0]).toMatch(/^[A-Za-z0-9._:@~=-]+$/);
        expect(['ota', 'recovery']).not.toContain(levels[0]);
        if (['agg', 'alert'].includes(levels[0] ?? '')) expect(levels[1]).toMatch(/^([a-z0-9-]+|[a-z0-9-]+[.][a-z0-9-]+|[{]segment[}])$/);
        else expect(levels[1]).toMatch(/^([{]segment[}]|[+]|#|[a-z0-9-]+[.][a-z0-9-]+)$/);
        if (action === 'subscribe') expect(levels.slice(2).join('/')).not.toMatch(/(^|[/])[+]([/]#)?$/);
      }),
      { numRuns: 2000 },
    );
  }, 60_000);

  it('many good topics are generated, or the property above would be empty', () => {
    const good = fc.sample(goodTopic(), 500).filter((filter) => topicProblem(filter, action) === undefined);
    expect(good.length).toBeGreaterThan(250);
  });
});

describe('what a segment lets others have', () => {
  it.each<[sentence: string, filter: string, action: TopicAction, granted: boolean]>([
    ['topics of its own', 'dt/{segment}/+/temperature', 'subscribe', true],
    ['all of them under a word', 'dt/{segment}/#', 'subscribe', true],
    ['those of whoever uses them', 'reply/{segment}/{device}/#', 'publish', true],
    ['not those of others', 'dt/doors.berlin/#', 'subscribe', false],
    ["not everybody's", 'dt/+/x', 'subscribe', false],
    ['not a whole word', 'dt/#', 'subscribe', false],
    ["not its site's", 'agg/berlin/x', 'publish', false],
    ['not what every device keeps', 'ota/{segment}/x', 'publish', false],
    ['not a subscription that widens', 'dt/{segment}/+', 'subscribe', false],
    ['a single level to publish', 'cmd/{segment}/+', 'publish', true],
  ])('%s', (_sentence, filter, action, granted) => {
    expect(grantProblem(filter, action) === undefined).toBe(granted);
    expect(grantRules().every(({ rule }) => holds(rule, filter, action))).toBe(granted);
  });

  it('rules and check are one language', () => {
    fc.assert(
      fc.property(anyTopic(), fc.constantFrom<TopicAction>('publish', 'subscribe'), (filter, action) => {
        fc.pre(filter !== '' && filter.length <= MAX_TOPIC_LENGTH);
        expect(grantRules().every(({ rule }) => holds(rule, filter, action))).toBe(grantProblem(filter, action) === undefined);
      }),
      { numRuns: 3000 },
    );
  }, 60_000);
});

/** The CEL of one rule, which is of one of two forms. */
function holds(rule: string, filter: string, action: TopicAction): boolean {
  const match = /^(?:self\.action != '(\w+)' \|\| )?(!?)self\.topic\.matches\('([^']+)'\)$/.exec(rule);
  if (match === null) throw new Error(`${rule} is not in the form that this test reads`);
  const [, only, not, pattern = ''] = match;
  return (only !== undefined && only !== action) || new RegExp(pattern).test(filter) !== (not === '!');
}
