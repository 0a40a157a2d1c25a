import { describe, expect, it } from 'vitest';
import type { Json } from '../config.ts';
import { difference, mask } from './mask.ts';

const compare = (recorded: Json, answered: Json) =>
  difference(mask(recorded, [['<mqtt>', 'port']]), mask(answered, [['127.0.0.1:1', 'port']]));

describe('two answers', () => {
  const alike: [string, Json, Json][] = [
    [
      'with times of another day but the same distance',
      { at: '2026-11-22T18:00:00+00:00', until: '2026-11-22T19:00:00+00:00' },
      { at: '2027-01-01T00:00:00+00:00', until: '2027-01-01T01:00:00+00:00' },
    ],
    ['with rows in another order', { data: [{ a: 1 }, { a: 2 }] }, { data: [{ a: 2 }, { a: 1 }] }],
    ['with names that stand for each other', 'at <mqtt>', 'at 127.0.0.1:1'],
    ['with what only the machine knows', { uptime: 1 }, { uptime: 2 }],
    ['with keys in another order', { a: 1, b: 2 }, { b: 2, a: 1 }],
    ['of which the recorded one was cut', 'reason, and … (cut)', 'reason, and more'],
  ];
  it.each(alike)('%s are alike', (_name, recorded, answered) => expect(compare(recorded, answered)).toBeUndefined());

  const different: [string, Json, Json, RegExp][] = [
    ['another status word', { code: 'A' }, { code: 'B' }, /\.code/],
    ['a missing key', { a: 1, b: 2 }, { a: 1 }, /\.b: recorded 2, answered "<absent>"/],
    ['a key too many', { a: 1 }, { a: 1, b: 2 }, /\.b: recorded "<absent>"/],
    [
      'another distance of times',
      { at: '2026-11-22T18:00:00Z', until: '2026-11-22T19:00:00Z' },
      { at: '2026-11-22T18:00:00Z', until: '2026-11-22T20:00:00Z' },
      /until/,
    ],
    ['another number of rows', { data: [1] }, { data: [1, 2] }, /length/],
    ['a list in another order', [1, 2], [2, 1], /\[0\]/],
    ['another type', '1', 1, /recorded "1", answered 1/],
    ['another beginning of a cut text', 'abc…', 'abx', /recorded/],
  ];
  it.each(different)('%s: they differ', (_name, recorded, answered, said) => expect(compare(recorded, answered)).toMatch(said));
});
