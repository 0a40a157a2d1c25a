import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Gates, type Outcomes, sampleToPass, stillNeeded, verdictOf } from './gate.ts';
import { tooFewForChance, tooManyForChance } from './testing/exact.ts';

const error = (ratio: string, minSample = 1, confidence = '95%'): Gates => ({ error: { ratio, minSample, confidence } });
const success = (ratio: string, minSample = 1, of: 'Reached' | 'Matched' = 'Reached'): Gates => ({
  success: { ratio, of, minSample, confidence: '95%' },
});
const NONE: Outcomes = { target: 0, confirmed: 0, failed: 0, rolledBack: 0, timedOut: 0, lost: 0 };
const wave = (target: number, counts: Partial<Outcomes>): Outcomes => ({ ...NONE, target, ...counts });
const resultOf = (gates: Gates | undefined, outcomes: Outcomes, ended = true): string => verdictOf(gates, outcomes, { ended }).result;

describe('a gate', () => {
  it('of 1 % is not passed by a canary of three devices, however well they did and whatever its least sample', () => {
    const three = wave(3, { confirmed: 3 });
    expect(verdictOf(error('1%'), three, { ended: true })).toEqual({
      result: 'Ask',
      reason: '0 of 3 devices went wrong: a failure ratio of 0% to 63.2% (each bound at 95%); 1% are allowed',
    });
    expect(resultOf(success('99%'), three)).toBe('Ask');
    expect(sampleToPass(error('1%'))).toBe(299);
  });

  it.each<[says: string, gates: Gates | undefined, outcomes: Outcomes, ended: boolean, result: string]>([
    ['without gates a wave passes when it has ended', undefined, wave(3, { failed: 3 }), true, 'Pass'],
    ['and not before', undefined, wave(3, { confirmed: 2 }), false, 'Wait'],
    ['passes with the first sample that shows it', error('1%'), wave(400, { confirmed: 299 }), false, 'Wait'],
    ['and the devices on their way are waited for', error('1%'), wave(299, { confirmed: 299 }), true, 'Pass'],
    ['one device less does not show it', error('1%'), wave(298, { confirmed: 298 }), true, 'Ask'],
    ['one failure of five is no proof against a limit of 2 %', error('2%'), wave(5, { confirmed: 4, failed: 1 }), true, 'Ask'],
    ['two are', error('2%'), wave(5, { confirmed: 3, failed: 2 }), true, 'Fail'],
    ['it fails while others are on their way', error('2%'), wave(500, { confirmed: 3, failed: 2 }), false, 'Fail'],
    ['but not before its least sample', error('2%', 20), wave(500, { confirmed: 3, failed: 2 }), false, 'Wait'],
    ['each kind of error counts', error('2%'), wave(9, { rolledBack: 1, timedOut: 1, lost: 1, confirmed: 6 }), true, 'Fail'],
    [
      'of the kinds named',
      { error: { ratio: '2%', minSample: 1, confidence: '95%', kinds: ['Failed'] } },
      wave(9, { lost: 9 }),
      true,
      'Ask',
    ],
    ['a success gate fails by what is missing', success('98%'), wave(10, { confirmed: 5, timedOut: 5 }), true, 'Fail'],
    ['of all matched, devices on their way are no failures', success('98%', 1, 'Matched'), wave(100, { confirmed: 5 }), false, 'Wait'],
    ['until the wave has ended', success('98%', 1, 'Matched'), wave(100, { confirmed: 5 }), true, 'Fail'],
    ['a failure outweighs a gate that passes', { ...success('1%'), ...error('1%') }, wave(9, { confirmed: 7, failed: 2 }), true, 'Fail'],
    ['nobody reached is no proof of anything', error('1%'), wave(5, {}), true, 'Ask'],
  ])('%s', (_, gates, outcomes, ended, result) => expect(resultOf(gates, outcomes, ended)).toBe(result));

  it('decides as whole numbers do, in 10,000 random cases', () => {
    const seen: Record<string, number> = {};
    const hundredths = fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.constantFrom(50, 100, 200, 500));
    fc.assert(
      fc.property(
        hundredths,
        fc.constantFrom(8000, 9000, 9500, 9900, 9999),
        fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 120 }) }, fc.integer({ min: 121, max: 400 })),
        fc.oneof(fc.nat(3), fc.nat()),
        (ratio, confidence, sample, number) => {
          const errors = number % (sample + 1);
          const percent = (h: number): string => `${h / 100}%`;
          const outcomes = wave(sample, { confirmed: sample - errors, failed: errors });
          const expected = tooManyForChance(errors, sample, ratio, confidence)
            ? 'Fail'
            : tooFewForChance(errors, sample, ratio, confidence)
              ? 'Pass'
              : 'Ask';
          expect(resultOf(error(percent(ratio), 1, percent(confidence)), outcomes)).toBe(expected);
          seen[expected] = (seen[expected] ?? 0) + 1;
        },
      ),
      { numRuns: 10_000 },
    );
    expect(Math.min(seen.Fail ?? 0, seen.Pass ?? 0, seen.Ask ?? 0)).toBeGreaterThan(0);
  });

  it('passes at no fewer devices without failure than it says it needs, and at that many', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9_999 }),
        fc.constantFrom('80%', '95%', '99.9%'),
        fc.integer({ min: 1, max: 50 }),
        (ratio, confidence, minSample) => {
          const gates = error(`${ratio / 100}%`, minSample, confidence);
          const needed = sampleToPass(gates);
          expect(resultOf(gates, wave(needed, { confirmed: needed }))).toBe('Pass');
          if (needed > 1) expect(resultOf(gates, wave(needed - 1, { confirmed: needed - 1 }))).not.toBe('Pass');
        },
      ),
    );
  });

  it.each([error('0%'), success('100%'), error('1%', 1, '100%')])('that no sample can pass says so: %j', (gates) =>
    expect(sampleToPass(gates)).toBe(Number.POSITIVE_INFINITY),
  );

  it('never goes from Fail to Pass by a failure more, nor from Pass to Fail by a success more', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(20), fc.constantFrom('0.5%', '2%', '10%'), (confirmed, failed, ratio) => {
        const now = resultOf(error(ratio), wave(1000, { confirmed, failed }));
        if (now === 'Fail') expect(resultOf(error(ratio), wave(1000, { confirmed, failed: failed + 1 }))).toBe('Fail');
        if (now === 'Pass') expect(resultOf(error(ratio), wave(1000, { confirmed: confirmed + 1, failed }))).toBe('Pass');
      }),
    );
  });
});

describe('what a gate still needs', () => {
  it.each<[says: string, gates: Gates | undefined, outcomes: Outcomes, needed: number]>([
    ['nothing, where there is none', undefined, NONE, 0],
    ['from the start as many as its sample', error('1%'), NONE, 299],
    ['the rest of them', error('1%'), wave(200, { confirmed: 200 }), 99],
    ['after a failure more', error('1%'), wave(200, { confirmed: 199, failed: 1 }), 273],
    ['nothing when it passes', error('1%'), wave(299, { confirmed: 299 }), 0],
    ['its least sample', error('50%', 100), wave(50, { confirmed: 50 }), 50],
    ['no number, where none is allowed to fail', error('0%'), NONE, Number.POSITIVE_INFINITY],
    [
      'no number, where a failure is one too many for ever',
      { success: { ratio: '100%', of: 'Reached', minSample: 1, confidence: '95%' } },
      NONE,
      Number.POSITIVE_INFINITY,
    ],
  ])('%s', (_, gates, outcomes, needed) => expect(stillNeeded(gates, outcomes)).toBe(needed));

  it('is the least number with which it passes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 50, max: 5000 }), fc.nat(60), fc.nat(5), (ratio, confirmed, failed) => {
        const gates = error(`${ratio / 100}%`);
        const more = stillNeeded(gates, wave(1000, { confirmed, failed }));
        const withMore = (count: number): string => resultOf(gates, wave(100_000, { confirmed: confirmed + count, failed }));
        expect(withMore(more)).toBe('Pass');
        if (more > 0) expect(withMore(more - 1)).not.toBe('Pass');
      }),
      { numRuns: 200 },
    );
  });
});
