import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createRefusals, MOST_AT_ONCE } from './refusals.ts';

it('a refusal is news once, and again after it was granted', () => {
  const refusals = createRefusals();
  expect(refusals.refused(['a', 'b'])).toEqual(['a', 'b']);
  expect(refusals.due()).toEqual(['a', 'b']);
  expect(refusals.granted(['a'])).toEqual(['a']);
  expect(refusals.granted(['a'])).toEqual([]);
  expect(refusals.refused(['b'])).toEqual([]);
  expect(refusals.due()).toEqual(['b']);
  expect(refusals.due()).toEqual([]);
  expect(refusals.refused(['a'])).toEqual(['a']);
});

it('who is not wanted any more is not asked for, and another connection begins anew', () => {
  const refusals = createRefusals();
  refusals.refused(['a', 'b']);
  refusals.drop(['a']);
  expect(refusals.due()).toEqual(['b']);
  refusals.refused(['b']);
  refusals.clear();
  expect([refusals.due(), refusals.waiting]).toEqual([[], 0]);
  expect(refusals.refused(['b'])).toEqual(['b']);
});

it('a broker that refuses everything is asked for each filter in turn, never for many at once', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 60 }), (filters) => {
      const refusals = createRefusals();
      refusals.refused(filters);
      const asked: string[] = [];
      while (asked.length < filters.length) {
        const due = refusals.due();
        expect(due.length).toBeLessThanOrEqual(MOST_AT_ONCE);
        asked.push(...due);
        refusals.refused(due);
        expect(refusals.waiting).toBe(filters.length);
      }
      expect(new Set(asked)).toEqual(new Set(filters));
    }),
  );
});
