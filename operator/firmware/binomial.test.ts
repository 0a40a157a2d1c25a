import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { atLeast, atMost, bounds } from './binomial.ts';

describe('the binomial distribution', () => {
  it.each([
    [10, 0.259],
    [20, 0.139],
    [50, 0.0582],
    [100, 0.0295],
    [300, 0.00994],
    [1000, 0.00299],
  ])('%d devices without a failure leave a ratio of up to %d at 95 %%', (n, upper) => {
    expect(bounds(0, n, 0.95).upper).toBeCloseTo(upper, 3);
    expect(bounds(0, n, 0.95).lower).toBe(0);
  });

  it('one of five is twenty percent, and may be one percent as well as sixty', () => {
    const { lower, upper } = bounds(1, 5, 0.95);
    // 1 - 0.95^(1/5), and the root of (1-p)^5 + 5p(1-p)^4 = 0.05.
    expect(lower).toBeCloseTo(1 - 0.95 ** 0.2, 10);
    expect((1 - upper) ** 5 + 5 * upper * (1 - upper) ** 4).toBeCloseTo(0.05, 10);
  });

  it('adds up to one, whatever the sample', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, part, p) => {
          const k = Math.floor(part * n);
          expect(atMost(k, n, p) + atLeast(k + 1, n, p)).toBeCloseTo(1, 9);
        },
      ),
    );
  });

  it('bounds hold between them what was seen, and lie closer together in a larger sample', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.nat(), fc.constantFrom(0.8, 0.95, 0.99), (n, number, confidence) => {
        const k = number % (n + 1);
        const [few, many] = [bounds(k, n, confidence), bounds(k * 10, n * 10, confidence)];
        expect(few.lower).toBeLessThanOrEqual(k / n);
        expect(few.upper).toBeGreaterThanOrEqual(k / n);
        expect(many.upper - many.lower).toBeLessThanOrEqual(few.upper - few.lower);
      }),
    );
  });
});
