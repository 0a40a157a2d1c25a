import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Condition } from '../api/meta.ts';
import { findCondition, isTrue, removeCondition, setCondition } from './conditions.ts';

const condition = (type: string, status: Condition['status'], at = 't0', reason = 'R'): Condition => ({
  type,
  status,
  reason,
  message: 'm',
  lastTransitionTime: at,
});
const without = ({ lastTransitionTime: _at, ...rest }: Condition) => rest;

describe('setCondition', () => {
  it('adds a new one with the time of now', () => {
    expect(setCondition([], without(condition('Ready', 'True')), 'now')).toEqual([condition('Ready', 'True', 'now')]);
  });

  it('keeps the time when only reason or message change, and moves it when the status flips', () => {
    const before = [condition('Ready', 'False', 't0', 'Old')];
    expect(setCondition(before, without(condition('Ready', 'False', '', 'New')), 'now')).toEqual([
      condition('Ready', 'False', 't0', 'New'),
    ]);
    expect(setCondition(before, without(condition('Ready', 'True', '', 'Old')), 'now')).toEqual([condition('Ready', 'True', 'now', 'Old')]);
  });

  it('leaves the list that it was given alone', () => {
    const before = Object.freeze([Object.freeze(condition('B', 'True'))]);
    expect(setCondition(before, without(condition('A', 'True')), 'now').map((c) => c.type)).toEqual(['A', 'B']);
  });

  it('makes the same text of the same conditions, in whatever order they were set', () => {
    const types = fc.uniqueArray(fc.constantFrom('A', 'B', 'C', 'D', 'Ready'), { minLength: 1 });
    fc.assert(
      fc.property(types, fc.infiniteStream(fc.nat()), (list, numbers) => {
        const shuffled = [...list].map((type) => ({ type, at: numbers.next().value ?? 0 })).sort((a, b) => a.at - b.at);
        const build = (order: string[]) =>
          order.reduce<Condition[]>((all, type) => setCondition(all, without(condition(type, 'True')), 'now'), []);
        expect(JSON.stringify(build(shuffled.map((s) => s.type)))).toBe(JSON.stringify(build(list)));
      }),
    );
  });

  it('set twice is set once: there is no second write for it', () => {
    const once = setCondition([], without(condition('Ready', 'True')), 't1');
    expect(setCondition(once, without(condition('Ready', 'True')), 't2')).toEqual(once);
  });
});

describe('reading conditions', () => {
  const list = [condition('A', 'True'), condition('B', 'Unknown')];
  it('finds by type, and nothing in nothing', () => {
    expect(findCondition(list, 'B')?.status).toBe('Unknown');
    expect(findCondition(list, 'C')).toBeUndefined();
    expect(findCondition(undefined, 'A')).toBeUndefined();
  });
  it('only True is true', () => expect(['A', 'B', 'C'].map((type) => isTrue(list, type))).toEqual([true, false, false]));
  it('removes one type and no other', () => expect(removeCondition(list, 'A').map((c) => c.type)).toEqual(['B']));
});
