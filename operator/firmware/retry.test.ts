import { describe, expect, it } from 'vitest';
import { retryAt } from './retry.ts';
import { spanMs, spanText } from './span.ts';

const MINUTE = 60_000;

describe('a second try', () => {
  it.each<[says: string, code: number, tries: number, minutes: number | undefined]>([
    ['after the network failed, in ten minutes', 8, 1, 10],
    ['and then twice as long', 8, 2, 20],
    ['a third one after forty', 7, 3, 40],
    ['and no fourth', 9, 4, undefined],
    ['never for a wrong signature', 1, 1, undefined],
    ['nor a wrong digest', 2, 1, undefined],
    ['nor a self-test that failed', 10, 1, undefined],
    ['nor a code that nobody knows', 99, 1, undefined],
  ])('%s', (_, code, tries, minutes) =>
    expect(retryAt(undefined, { code, tries, failedAt: 5 })).toBe(minutes === undefined ? undefined : 5 + minutes * MINUTE),
  );

  it('waits no longer than its cap, and for no cause that is not named', () => {
    const retry = { limit: 20, causes: ['Network' as const], backoff: { base: '1h', factor: 10, cap: '1d' } };
    expect(retryAt(retry, { code: 8, tries: 20, failedAt: 0 })).toBe(24 * 60 * MINUTE);
    expect(retryAt(retry, { code: 9, tries: 1, failedAt: 0 })).toBeUndefined();
    expect(retryAt({ limit: 0 }, { code: 8, tries: 1, failedAt: 0 })).toBeUndefined();
  });
});

describe('spans', () => {
  it.each([
    ['7d', 168 * 60 * MINUTE],
    ['1d12h', 36 * 60 * MINUTE],
    ['10m', 10 * MINUTE],
    ['1h30m5s', 90 * MINUTE + 5000],
    ['0s', 0],
  ])('%s is %d ms', (span, ms) => expect(spanMs(span)).toBe(ms));

  it.each(['', '5', '1w', '-1d', '1d1d', 'd', '1.5h'])('%j is none', (span) => expect(() => spanMs(span)).toThrow('is no span'));

  it.each([
    [0, '0s'],
    [999, '0s'],
    [61_000, '1m 1s'],
    [3_600_000, '1h'],
    [52 * 60 * MINUTE + 30_000, '2d 4h'],
    [25 * 60 * MINUTE, '1d 1h'],
    [24 * 60 * MINUTE + MINUTE, '1d'],
  ])('%d ms are said as %s', (ms, said) => expect(spanText(ms)).toBe(said));
});
