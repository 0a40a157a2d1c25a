import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ASK_TRIGGERS, type Ask, asksText, MAX_ASKS, readAsks } from './gateway-asks.ts';

const ask = (more: Partial<Ask> = {}): Ask => ({
  ...{ device: 'thermo-1', uid: '6f1c', trigger: 'ReplayDetected', count: 31, overMs: 4_000, atMs: 1_790_000_000_000, ...more },
});
const text = (change: object): string => JSON.stringify({ version: 1, asks: [{ ...ask(), ...change }] });

describe('what a gateway asks', () => {
  it('reads as it was written, as long as it may be', () => {
    const longest = ask({ device: 'd'.repeat(62), uid: 'u'.repeat(64), trigger: 'SchemaViolated', count: Number.MAX_SAFE_INTEGER });
    const all = Array.from({ length: MAX_ASKS }, (_, n) => ({ ...longest, overMs: 86_400_000 - n, atMs: 8_640_000_000_000_000 - n }));
    expect(readAsks(asksText(all))).toEqual(all);
    expect(ASK_TRIGGERS.map((trigger) => readAsks(asksText([ask({ trigger })]))?.[0]?.trigger)).toEqual([...ASK_TRIGGERS]);
  });

  it.each<[string, string]>([
    ['no JSON', '{'],
    ['another version', JSON.stringify({ version: 2, asks: [] })],
    ['a field that none has', text({ segment: 'other' })],
    ['a device of another site', text({ device: 'thermo-1.paris' })],
    ['a trigger that is not for gateways', text({ trigger: 'LimitExceeded' })],
    ['no message', text({ count: 0 })],
    ['more than any budget gives', asksText(Array.from({ length: MAX_ASKS + 1 }, () => ask()))],
    ['more bytes than the longest', `${asksText([])}${' '.repeat(200_000)}`],
  ])('is not %s', (_name, wrong) => expect(readAsks(wrong)).toBeUndefined());

  it('is read or not, whatever stands there', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (any) => {
        const read = readAsks(any);
        expect(read === undefined || Array.isArray(read)).toBe(true);
      }),
    );
  });
});
