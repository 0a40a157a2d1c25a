import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyBitmap, look, mark, resized, type Seen } from './bitmap.ts';

/** All numbers that were there, and the rule as a sentence. */
function naive(size: number) {
  const seen = new Set<number>();
  let top = 0;
  return {
    look: (seq: number): Seen => (seq <= top - size ? 'too old' : seen.has(seq) ? 'seen' : 'new'),
    mark(seq: number) {
      seen.add(seq);
      top = Math.max(top, seq);
    },
  };
}

const sizes = fc.constantFrom(1, 31, 32, 33, 64, 100, 4_096);
const jumps = fc.oneof(fc.integer({ min: -70, max: 70 }), fc.integer({ min: -5_000, max: 5_000 }));

describe('the window of sequence numbers', () => {
  it('says of every number what a set of all numbers says', () => {
    fc.assert(
      fc.property(sizes, fc.array(jumps, { maxLength: 300 }), (size, steps) => {
        let [bitmap, at] = [emptyBitmap(size), 1];
        const oracle = naive(size);
        for (const step of steps) {
          at = Math.max(1, at + step);
          expect(look(bitmap, at)).toBe(oracle.look(at));
          if (look(bitmap, at) !== 'new') continue;
          bitmap = mark(bitmap, at);
          oracle.mark(at);
        }
        for (let seq = Math.max(1, bitmap.top - size - 40); seq <= bitmap.top + 40; seq++) expect(look(bitmap, seq)).toBe(oracle.look(seq));
      }),
      { numRuns: 60 },
    );
  });

  it('takes any order within it, each number once', () => {
    const order = fc.integer({ min: 1, max: 64 }).chain((block) =>
      fc.tuple(
        fc.constant(block),
        fc.array(
          fc.shuffledSubarray(
            Array.from({ length: block }, (_, n) => n),
            { minLength: block },
          ),
          { minLength: 8, maxLength: 8 },
        ),
      ),
    );
    fc.assert(
      fc.property(order, ([block, shuffles]) => {
        let bitmap = emptyBitmap(64);
        const all = shuffles.flatMap((places, at) => places.map((place) => 1 + at * block + place));
        for (const seq of all) {
          expect(look(bitmap, seq)).toBe('new');
          bitmap = mark(bitmap, seq);
        }
        for (const seq of all) expect(look(bitmap, seq)).not.toBe('new');
      }),
      { numRuns: 60 },
    );
  });

  it('has no number that it takes twice, up to the last one that there is', () => {
    let bitmap = emptyBitmap(64);
    for (const seq of [1, Number.MAX_SAFE_INTEGER - 40, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 63]) {
      expect(look(bitmap, seq)).toBe('new');
      bitmap = mark(bitmap, seq);
      expect(look(bitmap, seq)).toBe('seen');
    }
    expect(look(bitmap, Number.MAX_SAFE_INTEGER - 64)).toBe('too old');
  });

  it('of another size still takes nothing twice', () => {
    const numbers = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(sizes, sizes, numbers, (before, after, seqs) => {
        let bitmap = emptyBitmap(before);
        const accepted = seqs.filter((seq) => {
          if (look(bitmap, seq) !== 'new') return false;
          bitmap = mark(bitmap, seq);
          return true;
        });
        const other = resized(bitmap, after);
        for (const seq of accepted) expect(look(other, seq)).not.toBe('new');
        expect(look(other, bitmap.top + 1)).toBe('new');
      }),
      { numRuns: 60 },
    );
  });
});
