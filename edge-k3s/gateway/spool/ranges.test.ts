import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { minusEach, NONE, overlaps, plus, plusEach, type Ranges, within } from './ranges.ts';

describe('a set as ranges', () => {
  it('holds what a set holds, in order, and no range touches the next', () => {
    const numbers = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 12 });
    const step = fc.record({
      put: numbers,
      take: numbers,
      run: fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 })),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let ranges: Ranges = NONE;
        const naive = new Set<number>();
        for (const { put, take, run } of steps) {
          ranges = minusEach(plus(plusEach(ranges, put), run[0], run[1]), take);
          for (const one of put) naive.add(one);
          for (let one = run[0]; one <= run[1]; one++) naive.add(one);
          for (const one of take) naive.delete(one);
        }
        for (let one = 0; one <= 61; one++) expect(within(ranges, one)).toBe(naive.has(one));
        for (const [at, [first, last]] of ranges.entries()) {
          expect(last).toBeGreaterThanOrEqual(first);
          const next = ranges[at + 1];
          if (next !== undefined) expect(next[0]).toBeGreaterThan(last + 1);
        }
        expect(overlaps(ranges, 20, 30)).toBe([...naive].some((one) => one >= 20 && one <= 30));
      }),
    );
  });
});
