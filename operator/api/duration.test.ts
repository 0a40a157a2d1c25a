import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { certificateLifetime, durationMs } from './duration.ts';
import { duration } from './schema.ts';

const { pattern } = duration('', { code: 'HR-API-007' }) as { pattern?: string };
const schema = new RegExp(pattern ?? '^$');
const HOUR_MS = 3_600_000;

describe('durationMs', () => {
  it.each([
    ['720h', 720 * HOUR_MS],
    ['1h30m', 1.5 * HOUR_MS],
    ['90m', 1.5 * HOUR_MS],
    ['10s', 10_000],
    ['1h1m1s', 3_661_000],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => expect(durationMs(text)).toBe(ms));

  it.each(['', '30d', '1.5h', '-1h', '720', 'h', '1s1h', '1h1h', '1 h', ' 1h', '1h\n', '1000000h', '１h'])('%j is none', (text) =>
    expect(durationMs(text)).toBeUndefined(),
  );

  it('reads exactly what the schema lets through', () => {
    const near = fc.string({ unit: fc.constantFrom(...'0123456789hmsd.- '), maxLength: 12 });
    const good = fc.tuple(fc.nat(999_999), fc.nat(59), fc.nat(59)).map(([h, m, s]) => `${h}h${m}m${s}s`);
    fc.assert(
      fc.property(fc.oneof(near, good), (text) => {
        expect(durationMs(text) !== undefined).toBe(text !== '' && schema.test(text));
      }),
      { numRuns: 2000 },
    );
  }, 60_000);
});

describe('certificateLifetime', () => {
  it('is 30 days, renewed 10 days before the end, when the manifest says nothing', () => {
    const thirtyDays = { durationMs: 720 * HOUR_MS, renewBeforeMs: 240 * HOUR_MS };
    expect(certificateLifetime(undefined)).toEqual(thirtyDays);
    expect(certificateLifetime({})).toEqual(thirtyDays);
  });

  it('renews after two thirds unless it is told when', () => {
    expect(certificateLifetime({ duration: '90s' })).toEqual({ durationMs: 90_000, renewBeforeMs: 30_000 });
    expect(certificateLifetime({ duration: '90s', renewBefore: '5s' })).toEqual({ durationMs: 90_000, renewBeforeMs: 5_000 });
  });

  it('takes the default for what was stored before the schema refused it', () =>
    expect(certificateLifetime({ duration: '30d', renewBefore: 'soon' })).toEqual({
      durationMs: 720 * HOUR_MS,
      renewBeforeMs: 240 * HOUR_MS,
    }));
});
