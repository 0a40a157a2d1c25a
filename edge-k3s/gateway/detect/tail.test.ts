import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { learn, newTail, surprise } from './tail.ts';

/** As a stream would: each value is judged by those before it. */
function surprises(values: readonly number[]): number[] {
  const tail = newTail();
  return values.map((value) => {
    const found = surprise(tail, value);
    learn(tail, value);
    return found;
  });
}

/** Numbers between 0 and 1 that never come again in the same order (the golden ratio, then squared to mix). */
const spread = (n: number): number => (n * 0.6180339887498949 + ((n * n) % 1_009) / 1_009) % 1;

describe('the surprise of a value', () => {
  it.each<[string, (u: number) => number]>([
    ['with a thin tail', (u) => Math.sqrt(-2 * Math.log(1 - u))],
    ['with an exponential one', (u) => -Math.log(1 - u)],
    ['with a heavy one', (u) => (1 - u) ** -0.5],
  ])('is as frequent as it says: %s', (_name, quantile) => {
    const found = surprises(Array.from({ length: 40_000 }, (_, n) => quantile(spread(n + 1)))).slice(2_000);
    for (const score of [2.5, 3]) {
      const share = found.filter((one) => one >= score).length / found.length;
      expect(Math.abs(Math.log10(share) + score)).toBeLessThan(0.35);
    }
  });

  it('never falls when the value grows, is a number from 0 to 30, and 0 before 100 values', () => {
    const value = fc.double({ min: 0, max: 1e100, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { maxLength: 300, size: 'max' }), value, value, (values, a, b) => {
        const tail = newTail();
        for (const one of values) learn(tail, one);
        const [less, more] = [surprise(tail, Math.min(a, b)), surprise(tail, Math.max(a, b))];
        expect(less >= 0 && less <= more && more <= 30).toBe(true);
        if (values.length < 100) expect(more).toBe(0);
        expect(tail.top.length).toBeLessThanOrEqual(40);
      }),
    );
  });

  it('of values that never differed is nothing, and of the first other one all', () => {
    const found = surprises([...new Array<number>(200).fill(0), 1]);
    expect([Math.max(...found.slice(0, 200)), found.at(-1)]).toEqual([0, 30]);
  });
});
