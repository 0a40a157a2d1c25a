import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from './config.ts';
import { HoconError, merge, parseHocon, printHocon } from './hocon.ts';

describe('HOCON', () => {
  const cases: [string, JsonObject][] = [
    ['a = 1', { a: 1 }],
    ['a.b.c = x', { a: { b: { c: 'x' } } }],
    ['a { b = 1 }\na { c = 2 }', { a: { b: 1, c: 2 } }],
    ['a = [1, "two", {three = 3}]', { a: [1, 'two', { three: 3 }] }],
    ['a = "x\\\\1" # comment\n// another\nb: off', { a: 'x\\1', b: 'off' }],
    ['a = true, b = null', { a: true, b: null }],
    ['a = """raw "text" """', { a: 'raw "text" ' }],
    ['', {}],
  ];
  it.each(cases)('%s', (text, expected) => expect(parseHocon(text)).toEqual(expected));

  it.each(['mqtt {{', 'a = [1', '= 1', 'a', '}'])('%s is refused', (text) => expect(() => parseHocon(text)).toThrow(HoconError));

  const leaf: fc.Arbitrary<Json> = fc.oneof(fc.integer(), fc.boolean(), fc.string({ unit: 'grapheme-ascii' }));
  const key = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/).filter((name) => !['true', 'false', 'null'].includes(name));
  const value: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.dictionary(key, tie('value'), { noNullPrototype: true }) as fc.Arbitrary<Json>,
      fc.array(leaf),
    ),
  })).value;

  it('reads back what it prints', () => {
    const words = new Set(['true', 'false', 'null']);
    const noWord = (json: Json): boolean =>
      typeof json === 'string' ? !words.has(json) : typeof json !== 'object' || json === null || Object.values(json).every(noWord);
    fc.assert(
      fc.property(fc.dictionary(key, value.filter(noWord), { noNullPrototype: true }), (object) => {
        expect(parseHocon(printHocon('root', object))).toEqual({ root: object });
      }),
    );
  });

  it('merging a value with itself changes nothing, and a key called __proto__ is only a key', () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(merge(one, one)).toEqual(one);
      }),
    );
    expect(Object.getPrototypeOf(parseHocon('__proto__ { polluted = true }'))).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('answers every text with an object or a HoconError', () => {
    const near = fc.string({ unit: fc.constantFrom(...'ab1.={}[],:"\\#/\n '), maxLength: 60 });
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), (text) => {
        try {
          expect(parseHocon(text)).toBeTypeOf('object');
        } catch (error) {
          expect(error).toBeInstanceOf(HoconError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
