import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTurns } from './turns.ts';

describe('turns', () => {
  it('are given to as many as there are, and not to one more', () => {
    const turns = createTurns(2, () => undefined);
    expect(['a', 'b', 'c'].map((key) => turns.take(key))).toEqual([true, true, false]);
  });

  it('go in the order of the line: whoever waited longest is woken first, once', () => {
    const woken: string[] = [];
    const turns = createTurns(1, (key) => void woken.push(key));
    for (const key of ['a', 'b', 'c', 'b']) turns.take(key);
    turns.giveBack();
    turns.giveBack();
    expect(woken).toEqual(['b', 'c']);
  });

  it('do not depend on those who were woken: one who is gone does not hold up the others', () => {
    const turns = createTurns(1, () => undefined);
    for (const key of ['a', 'gone', 'c']) turns.take(key);
    turns.giveBack();
    expect(turns.take('c')).toBe(true);
  });

  it('are never more than the most, and everybody who keeps coming gets one, in any order of taking and giving back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(fc.nat(9), { maxLength: 200 }), (most, order) => {
        const turns = createTurns(most, () => undefined);
        const holders: string[] = [];
        const served = new Set<string>();
        for (const number of order) {
          const key = String(number);
          const at = holders.indexOf(key);
          if (at >= 0) {
            holders.splice(at, 1);
            turns.giveBack();
          } else if (turns.take(key)) {
            holders.push(key);
            served.add(key);
          }
          expect(holders.length).toBeLessThanOrEqual(most);
        }
        while (holders.pop() !== undefined) turns.giveBack();
        for (const number of order) {
          if (!served.has(String(number))) expect(turns.take(String(number))).toBe(true);
          if (!served.has(String(number))) turns.giveBack();
        }
      }),
    );
  });
});
