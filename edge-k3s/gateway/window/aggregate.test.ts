import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Aggregate, emptyAggregate, include, mergedAggregate, mergePayloads, readAggregate, writeAggregate } from './aggregate.ts';
import { LEAST, quantile, RELATIVE_ERROR } from './sketch.ts';

const measures = fc.array(
  fc.oneof(fc.double({ min: -50, max: 50, noNaN: true }), fc.double({ min: -1e15, max: 1e15, noNaN: true }), fc.constant(0)),
  {
    minLength: 1,
    maxLength: 80,
  },
);
const hostile = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.1e15, -Number.MAX_VALUE);
const of = (values: readonly number[], from = 0): Aggregate => {
  const made = emptyAggregate();
  for (const [n, value] of values.entries()) include(made, from + n, value);
  return made;
};
const alike = (a: Aggregate, b: Aggregate): void => {
  const scale = Math.max(1, Math.abs(a.min), Math.abs(a.max));
  expect({ ...a, mean: 0, m2: 0 }).toEqual({ ...b, mean: 0, m2: 0 });
  expect(Math.abs(a.mean - b.mean)).toBeLessThanOrEqual(1e-9 * scale);
  expect(Math.abs(a.m2 - b.m2)).toBeLessThanOrEqual(1e-9 * scale * scale * Math.max(1, a.count));
};

describe('the aggregate of a window', () => {
  it('has quantiles that are off by 1 % at the most, negative values and 0 among them', () => {
    fc.assert(
      fc.property(measures, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const ordered = [...values].sort((a, b) => a - b);
        const exact = ordered[Math.max(1, Math.ceil(q * ordered.length)) - 1] ?? Number.NaN;
        const found = quantile(of(values).sketch, q);
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(RELATIVE_ERROR * Math.abs(exact) * (1 + 1e-9) + LEAST);
      }),
    );
  });

  it('has mean, spread, ends and last value of all values', () => {
    fc.assert(
      fc.property(measures, (values) => {
        const { count, mean, m2, min, max, last } = of(values);
        const scale = Math.max(1, ...values.map(Math.abs));
        const average = values.reduce((sum, one) => sum + one / values.length, 0);
        expect([count, min, max, last?.value]).toEqual([values.length, Math.min(...values), Math.max(...values), values.at(-1)]);
        expect(Math.abs(mean - average)).toBeLessThanOrEqual(1e-9 * scale);
        const squares = values.reduce((sum, one) => sum + (one - average) ** 2, 0);
        expect(Math.abs(m2 - squares)).toBeLessThanOrEqual(1e-9 * scale * scale * values.length);
      }),
    );
  });

  it('merged in any order and grouping is that of all values', () => {
    fc.assert(
      fc.property(measures, measures, measures, (a, b, c) => {
        const [x, y, z] = [of(a), of(b, 100), of(c, 200)];
        const all = of(a);
        for (const [n, value] of b.entries()) include(all, 100 + n, value);
        for (const [n, value] of c.entries()) include(all, 200 + n, value);
        alike(mergedAggregate(mergedAggregate(x, y), z), all);
        alike(mergedAggregate(x, mergedAggregate(y, z)), all);
        alike(mergedAggregate(z, mergedAggregate(y, x)), all);
        alike(readAggregate(mergePayloads([x, y, z].map(writeAggregate))), all);
      }),
    );
  });

  it('counts what is no measure and lets it change nothing else', () => {
    fc.assert(
      fc.property(measures, fc.array(hostile, { minLength: 1, maxLength: 5 }), (values, wrong) => {
        const made = of(values);
        for (const value of wrong) include(made, 1_000, value);
        expect(made).toEqual({ ...of(values), refused: wrong.length });
      }),
    );
  });

  it('comes back from its bytes as it was, to the last bit', () => {
    fc.assert(
      fc.property(measures, (values) => {
        const made = of(values);
        expect(readAggregate(writeAggregate(made))).toEqual(made);
      }),
    );
    expect(readAggregate(writeAggregate(emptyAggregate()))).toEqual(emptyAggregate());
  });

  it('is read from nothing else, whatever the bytes: a RangeError at the most', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, isVersion) => {
        if (isVersion && bytes.length > 0) bytes[0] = 1;
        try {
          readAggregate(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  it('of a room in a day has a few hundred bytes', () => {
    const made = emptyAggregate();
    for (let n = 0; n < 86_400; n++) include(made, n, 21 + 3 * Math.sin(n / 13_750) + ((n * 7_919) % 100) / 200);
    expect(writeAggregate(made).length).toBeLessThan(220);
    expect(quantile(made.sketch, 0.5)).toBeGreaterThan(20);
  });

  it('cannot be made large: values of all sizes have a bound of bins', () => {
    const made = emptyAggregate();
    for (let n = 0; n < 40_000; n++) include(made, n, (n % 2 === 0 ? 1 : -1) * 10 ** ((n % 4_801) / 200 - 9));
    expect(made.sketch.positive.size + made.sketch.negative.size).toBeLessThanOrEqual(2 * 2_764);
    expect(writeAggregate(made).length).toBeLessThan(20_000);
  });
});
