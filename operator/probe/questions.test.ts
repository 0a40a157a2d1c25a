import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CANARY, type SegmentRights, type TextInForce } from '../broker/broker.ts';
import { type Answer, findingsOf, isClean, oddAnswer, ownTopic, type Question, questionsOf } from './questions.ts';

const DIGEST = '0123456789abcdef';
const OFFICE: SegmentRights = {
  segment: 'office.berlin',
  publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1, retain: false }],
  subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
};
const READER: SegmentRights = { segment: 'reader.berlin', publish: [], subscribe: [{ topic: 'dt/office.berlin/+/t' }] };
const SILENT: SegmentRights = { segment: 'silent.berlin', publish: [], subscribe: [] };
const textOf = (...rights: SegmentRights[]): TextInForce => ({
  digest: DIGEST,
  segments: new Map(rights.map(({ segment }) => [segment, 'x'])),
});
const asked = questionsOf(textOf(OFFICE, READER, SILENT), [OFFICE, READER, SILENT]);

describe('the questions of a probe', () => {
  it('begin with what must go, under the name of the text that is in force', () => {
    expect(asked.slice(0, 2)).toEqual([
      { ask: 'subscribe', topic: `probe/${CANARY}/${CANARY}/${DIGEST}`, expect: 'allowed' },
      { ask: 'publish', topic: `probe/${CANARY}/${CANARY}/${DIGEST}`, expect: 'allowed' },
    ]);
    expect(asked.slice(2).every((question) => question.expect === 'refused')).toBe(true);
  });

  it('ask for a foreign topic, for one of another text, and for wildcards', () => {
    const refused = asked.filter((question) => question.expect === 'refused' && question.segment === undefined).map(({ topic }) => topic);
    expect(refused).toEqual(expect.arrayContaining(['#', '+/#', 'probe/#', '$SYS/#', ownTopic('0'.repeat(16))]));
    expect(refused.some((topic) => topic.startsWith('probe/-other.-hedgerow/'))).toBe(true);
  });

  it('ask each segment that the text grants something for one topic of its own, to be read and never to be written', () => {
    expect(asked.filter(({ segment }) => segment !== undefined)).toEqual([
      { ask: 'subscribe', topic: `dt/office.berlin/${CANARY}/#`, expect: 'refused', segment: 'office.berlin' },
      { ask: 'subscribe', topic: 'dt/office.berlin/+/t', expect: 'refused', segment: 'reader.berlin' },
    ]);
  });

  it('leave out what the text does not hold', () => {
    expect(questionsOf(textOf(READER), [OFFICE]).some(({ segment }) => segment === 'office.berlin')).toBe(false);
  });

  it('publish nothing into a topic that anybody but the canary could hear', () => {
    const published = asked.filter(({ ask }) => ask === 'publish').map(({ topic }) => topic);
    expect(published.every((topic) => topic.startsWith(`probe/${CANARY}/`) || topic.startsWith('probe/-other.-hedgerow/'))).toBe(true);
  });
});

describe('what the answers say', () => {
  const asIf = (code: (question: Question) => number): Answer[] => asked.map((question) => ({ question, code: code(question) }));
  const right = (question: Question): number => (question.expect === 'refused' ? 0x87 : 0);

  it.each<[string, (question: Question) => number, string[], string[]]>([
    ['all as it should be: nothing', right, [], []],
    ['0x10, nobody subscribed, is no refusal', (q) => (q.ask === 'publish' && q.expect === 'allowed' ? 0x10 : right(q)), [], []],
    ['refused for another reason is refused as well', (q) => (q.expect === 'refused' ? 0xa2 : 0), [], []],
    ['a wildcard that is granted concerns everybody', (q) => (q.topic === '#' ? 0 : right(q)), ['HR-PRB-001'], []],
    ['a foreign publish that is taken', (q) => (q.ask === 'publish' && q.topic.includes('-other') ? 0 : right(q)), ['HR-PRB-001'], []],
    [
      'the topic of a segment that is granted concerns that one',
      (q) => (q.segment === 'office.berlin' ? 1 : right(q)),
      [],
      ['office.berlin'],
    ],
    [
      'its own topic that is refused: another text',
      (q) => (q.topic === ownTopic(DIGEST) ? 0x87 : right(q)),
      ['HR-PRB-002', 'HR-PRB-002'],
      [],
    ],
    ['its own topic that is refused for another reason: nothing', (q) => (q.topic === ownTopic(DIGEST) ? 0x97 : right(q)), [], []],
  ])('%s', (_what, code, shared, segments) => {
    const found = findingsOf(asIf(code));
    expect([found.shared.map((problem) => problem.code), [...found.bySegment.keys()]]).toEqual([shared, segments]);
    expect(isClean(found)).toBe(shared.length + segments.length === 0);
  });

  it('an answer to its own topic that has nothing to do with rights is odd, and only that', () => {
    expect(oddAnswer(asIf(right))).toBeUndefined();
    expect(oddAnswer(asIf((q) => (q.expect === 'refused' ? 0xa2 : 0)))).toBeUndefined();
    expect(oddAnswer(asIf((q) => (q.expect === 'allowed' ? 0x87 : 0x87)))).toBeUndefined();
    expect(oddAnswer(asIf((q) => (q.expect === 'allowed' ? 0x97 : 0x87)))?.code).toBe(0x97);
  });

  it('names no text: the sentence is the same however often the text changes', () => {
    const other = questionsOf({ ...textOf(OFFICE), digest: 'fedcba9876543210' }, [OFFICE]).map((question) => ({ question, code: 0 }));
    const mine = questionsOf(textOf(OFFICE), [OFFICE]).map((question) => ({ question, code: 0 }));
    expect(findingsOf(other)).toEqual(findingsOf(mine));
  });

  it('whatever is answered: clean only if every refusal was one and the own topic went', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 255 }), { minLength: asked.length, maxLength: asked.length }), (codes) => {
        const answers = asked.map((question, i) => ({ question, code: codes[i] ?? 0 }));
        const open = answers.some(({ question, code }) => question.expect === 'refused' && code < 0x80);
        const shut = answers.some(({ question, code }) => question.expect === 'allowed' && code === 0x87);
        expect(isClean(findingsOf(answers))).toBe(!open && !shut);
      }),
    );
  });
});
