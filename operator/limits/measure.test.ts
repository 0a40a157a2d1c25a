import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allowanceOf, allowedIn } from './allowance.ts';
import { type Excess, LAG_MS, measure, type Reading, type Track } from './measure.ts';

const TEN = allowanceOf('10/s') ?? expect.fail();

function run(limit: typeof TEN, readings: readonly Reading[]): (Excess | undefined)[] {
  let track: Track | undefined;
  return readings.map((reading) => {
    const next = measure(track, reading, limit);
    track = next.track;
    return next.excess;
  });
}
const at = (seconds: number, count: number, session = 'a'): Reading => ({ atMs: seconds * 1000, session, count });

describe('a limit as it is written', () => {
  it.each([
    ['10/s', 10, 1_000],
    ['20KiB/s', 20_480, 1_000],
    ['2MiB/m', 2_097_152, 60_000],
    ['100/h', 100, 3_600_000],
    ['0/s', 0, 1_000],
  ])('%s', (text, count, unitMs) => expect(allowanceOf(text)).toEqual({ count, unitMs, text }));

  it.each(['', '10', '10/d', '10 /s', '-1/s', '1e3/s', '10/s\n', '9999999/s', '16KiB'])('%j is none', (text) =>
    expect(allowanceOf(text)).toBeUndefined(),
  );

  it('a second is looked at over a minute, an hour over an hour, a longer time as long as it is', () => {
    expect(allowedIn(TEN, 1_000)).toBe(600);
    expect(allowedIn(TEN, 120_000)).toBe(1_200);
    expect(allowedIn(allowanceOf('100/h') ?? expect.fail(), 60_000)).toBe(100);
  });
});

describe('what one client has sent, by two readings of one count', () => {
  it.each<[string, Reading[], (Excess | undefined)[]]>([
    ['the first reading accuses nobody, however much it counts', [at(0, 1e9)], [undefined]],
    ['ten times the limit is seen at the next reading', [at(0, 0), at(15, 1_500)], [undefined, { amount: 1_500, overMs: 15_000 + LAG_MS }]],
    ['the limit itself is kept for ever', Array.from({ length: 20 }, (_, n) => at(15 * n, 150 * n)), Array(20).fill(undefined)],
    ['a burst of a minute at once is none', [at(0, 0), at(15, 600), at(30, 600), at(45, 600)], Array(4).fill(undefined)],
    ['a new connection counts from nothing', [at(0, 5_000), at(15, 500, 'b')], [undefined, undefined]],
    [
      'what is sent in short connections is added up',
      [at(0, 0, 'a'), at(15, 400, 'b'), at(30, 400, 'c')],
      [undefined, undefined, { amount: 800, overMs: 45_000 }],
    ],
    ['a count that goes back is no sending', [at(0, 5_000), at(15, 100), at(30, 100)], Array(3).fill(undefined)],
    [
      'and hides nothing that is sent after it',
      [at(0, 5_000), at(15, 100), at(30, 1_700)],
      [undefined, undefined, { amount: 1_600, overMs: 30_000 + LAG_MS }],
    ],
    [
      'after an excess the reckoning begins anew',
      [at(0, 0), at(15, 1_500), at(30, 1_510), at(45, 1_520)],
      [undefined, { amount: 1_500, overMs: 30_000 }, undefined, undefined],
    ],
  ])('%s', (_name, readings, expected) => expect(run(TEN, readings)).toEqual(expected));

  it('a fifth above the limit is found after two windows', () => {
    const found = run(
      TEN,
      Array.from({ length: 12 }, (_, n) => at(15 * n, 180 * n)),
    );
    expect(found.filter((excess) => excess !== undefined).length).toBeGreaterThan(0);
  });

  it('by the hour: what is within the hour is allowed, the rest is seen in the hour', () => {
    const limit = allowanceOf('100/h') ?? expect.fail();
    expect(run(limit, [at(0, 0), at(15, 100), at(1_800, 100)])).toEqual([undefined, undefined, undefined]);
    expect(run(limit, [at(0, 0), at(15, 100), at(1_800, 101)])[2]).toEqual({ amount: 101, overMs: 1_815_000 });
  });
});

describe('properties', () => {
  /** What a client sends each second, when it is looked at, and how old what EMQX shows then is. */
  const life = fc.record({
    seconds: fc.array(fc.nat(40), { minLength: 60, maxLength: 400 }),
    gaps: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 3, maxLength: 30 }),
    lags: fc.array(fc.nat(15), { minLength: 30, maxLength: 30 }),
  });

  const readingsOf = ({ seconds, gaps, lags }: { seconds: number[]; gaps: number[]; lags: number[] }): Reading[] => {
    const sums = [0];
    for (const sent of seconds) sums.push((sums.at(-1) ?? 0) + sent);
    let now = 20;
    let shown = 0;
    return gaps.flatMap((gap, n) => {
      now += gap;
      if (now > seconds.length) return [];
      shown = Math.max(shown, now - (lags[n] ?? 0));
      return [at(now, sums[shown] ?? 0)];
    });
  };

  it('nobody is accused who sends no more than the limit in any second, whatever the lag of the counts and of the looks', () => {
    fc.assert(
      fc.property(life, (one) => {
        const kept = { ...one, seconds: one.seconds.map((sent) => Math.min(10, sent)) };
        expect(run(TEN, readingsOf(kept)).filter((excess) => excess !== undefined)).toEqual([]);
      }),
    );
  });

  it('an excess is always more than the limit allows in the time that is named', () => {
    fc.assert(
      fc.property(life, (one) => {
        for (const excess of run(TEN, readingsOf(one)))
          if (excess !== undefined) expect(excess.amount).toBeGreaterThan(allowedIn(TEN, excess.overMs));
      }),
    );
  });

  it('ten times the limit is found at the latest 75 s after the first look, whatever the lags', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(15), { minLength: 30, maxLength: 30 }), (lags) => {
        const found = run(TEN, readingsOf({ seconds: Array(400).fill(100), gaps: [1, 15, 15, 15, 15, 15], lags }));
        expect(found.some((excess) => excess !== undefined)).toBe(true);
      }),
    );
  });
});
