import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalJson, mergePatchFor } from './merge-patch.ts';

/** RFC 7386 §2, word for word. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** As in a status: no `null` in it, since a merge patch cannot say one. */
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ maxLength: 3 }),
    fc.integer(),
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), { maxKeys: 4 }),
})).object as fc.Arbitrary<Record<string, unknown>>;

describe('mergePatchFor', () => {
  it.each<[string, object, object, object | undefined]>([
    ['nothing for equal documents', { a: 1, b: { c: [1, 2] } }, { b: { c: [1, 2] }, a: 1 }, undefined],
    ['only what differs, however deep', { a: 1, b: { c: 1, d: 1 } }, { a: 1, b: { c: 1, d: 2 } }, { b: { d: 2 } }],
    ['null for what is gone', { a: 1, b: 2 }, { b: 2 }, { a: null }],
    ['null for what is undefined now', { a: 1 }, { a: undefined }, { a: null }],
    ['nothing for undefined where nothing was', {}, { a: undefined }, undefined],
    ['an array as a whole', { a: [1, 2, 3] }, { a: [1, 3] }, { a: [1, 3] }],
    ['an object that becomes a scalar', { a: { b: 1 } }, { a: 1 }, { a: 1 }],
    ['a scalar that becomes an object', { a: 1 }, { a: { b: 1 } }, { a: { b: 1 } }],
  ])('is %s', (_name, before, after, expected) => expect(mergePatchFor(before, after)).toEqual(expected));

  it('applied to what was, gives what shall be, and is absent exactly when both are equal', () => {
    fc.assert(
      fc.property(json, json, (before, after) => {
        const patch = mergePatchFor(before, after);
        expect(patch === undefined).toBe(equalJson(before, after));
        expect(mergePatch(before, patch ?? {})).toEqual(after);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('equalJson', () => {
  it('agrees with JSON text whose fields are sorted', () => {
    const canonical = (value: unknown): string =>
      JSON.stringify(value, (_key, v) => (isObject(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v));
    fc.assert(
      fc.property(json, json, (a, b) => {
        expect(equalJson(a, b)).toBe(canonical(a) === canonical(b));
        expect(equalJson(a, structuredClone(a))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
  it('takes an array for no object and null for nothing else', () => {
    expect([equalJson([], {}), equalJson(null, {}), equalJson(null, undefined), equalJson({ a: undefined }, {})]).toEqual([
      false,
      false,
      false,
      true,
    ]);
  });
});
