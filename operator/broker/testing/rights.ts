// Random rights for property tests, good ones and hostile ones.
import fc from 'fast-check';
import type { SegmentRights, TopicRight } from '../broker.ts';

const WORDS = ['dt', 'cmd', 'agg', 'x', 'a.b', 'T_1', 'u@h'];
const word = fc.constantFrom(...WORDS);
const level = fc.oneof({ weight: 3, arbitrary: word }, fc.constantFrom('{device}', '{segment}', '+'));

const topic = (action: 'publish' | 'subscribe'): fc.Arbitrary<string> =>
  fc
    .tuple(
      word,
      // Whose topics these are: never a wildcard.
      fc.oneof(word, fc.constantFrom('{device}', '{segment}', 'lab.berlin', 'office.paris')),
      fc.array(level, { maxLength: 3 }),
      action === 'publish' ? fc.oneof(level, fc.constant('#')) : fc.oneof(word, fc.constantFrom('#', '{device}')),
    )
    .map(([first, whose, middle, last]) => [first, whose, ...middle, last].join('/'))
    // At the broker such a subscription would admit # in the place of the +.
    .filter((made) => action === 'publish' || !made.endsWith('/+/#'));

const right = (action: 'publish' | 'subscribe'): fc.Arbitrary<TopicRight> =>
  fc
    .record({
      topic: topic(action),
      qosMax: fc.constantFrom<undefined | 0 | 1 | 2>(undefined, 0, 1, 2),
      retain: fc.constantFrom(undefined, true, false),
    })
    .map(({ topic: one, qosMax, retain }) => ({
      topic: one,
      ...(qosMax === undefined ? {} : { qosMax }),
      ...(retain === undefined ? {} : { retain }),
    }));

export const SEGMENTS = ['office.berlin', 'lab.berlin', 'office.paris', 'gate-1.berlin', 'x.y'];

export const rightsOf = (segment: fc.Arbitrary<string>): fc.Arbitrary<SegmentRights> =>
  fc.record({ segment, publish: fc.array(right('publish'), { maxLength: 3 }), subscribe: fc.array(right('subscribe'), { maxLength: 3 }) });

/** Each segment once. */
export const goodRights: fc.Arbitrary<SegmentRights[]> = fc.uniqueArray(rightsOf(fc.constantFrom(...SEGMENTS)), {
  maxLength: SEGMENTS.length,
  selector: (one) => one.segment,
});

/** What an attacker might get into a name or a topic: whatever ends strings, starts placeholders or widens. */
export const hostileText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '"',
        "'",
        '\\',
        '\n',
        '\0',
        '%',
        '.',
        '}',
        '{',
        ']',
        '$',
        '#',
        '+',
        '/',
        '$' + '{clientid}',
        '$' + '{client_attrs.x}',
        '%c',
        '%u',
      ),
      fc.constantFrom('"]}.\n{allow, all}.\n', '|.*', ')$', '(?:', '[.]', 'eq ', 'ä', '\u2028', '{device}', '{segment}'),
      fc.string({ maxLength: 4, unit: 'binary' }),
      fc.constantFrom(...WORDS),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((parts) => parts.join(''));

export const hostileRights: fc.Arbitrary<SegmentRights[]> = fc.array(
  fc.record({
    segment: fc.oneof(hostileText, fc.constantFrom(...SEGMENTS)),
    publish: fc.array(
      hostileText.map((one) => ({ topic: one })),
      { maxLength: 2 },
    ),
    subscribe: fc.array(
      hostileText.map((one) => ({ topic: one })),
      { maxLength: 2 },
    ),
  }),
  { maxLength: 4 },
);
