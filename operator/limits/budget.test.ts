import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BudgetInput, type Made, spent, WINDOW_MS } from './budget.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const made = (count: number, segment = 'berlin/sensors', atMs = NOW - 1): Made[] =>
  Array.from({ length: count }, (_, n) => ({ device: `berlin/d-${n}`, segment, atMs }));
const input = (change: Partial<BudgetInput>): BudgetInput => ({
  ...{ nowMs: NOW, made: [], segment: 'berlin/sensors', devicesOfSegment: 40, devicesOfFleet: 1_000 },
  ...change,
});

describe('the budget of quarantines without a person', () => {
  it.each<[string, Partial<BudgetInput>, ReturnType<typeof spent>]>([
    ['the first is allowed', {}, undefined],
    ['of forty devices of a segment four', { made: made(3) }, undefined],
    ['and not five', { made: made(4) }, 'segment'],
    ['of a small segment one', { devicesOfSegment: 4, made: made(1) }, 'segment'],
    ['what other segments spent is theirs', { devicesOfSegment: 4, made: made(1, 'berlin/lamps') }, undefined],
    ['of a thousand devices of the fleet fifty', { made: made(49, 'berlin/lamps') }, undefined],
    ['and not one more, in whatever segment', { made: made(50, 'berlin/lamps') }, 'fleet'],
    ['of a small fleet one', { devicesOfFleet: 3, made: made(1, 'berlin/lamps') }, 'fleet'],
    ['after an hour there is a new one', { made: made(4, 'berlin/sensors', NOW - WINDOW_MS) }, undefined],
    [
      'a time that cannot be read counts for nothing, a time to come counts',
      { made: [...made(3), ...made(1, 'berlin/sensors', NOW + 5)] },
      'segment',
    ],
  ])('%s', (_name, change, expected) => expect(spent(input(change))).toBe(expected));

  it('whoever asks again and again never gets more than the shares', () => {
    const asked = fc.array(fc.constantFrom('a/1', 'a/2', 'a/3'), { maxLength: 200 });
    fc.assert(
      fc.property(asked, fc.nat(120), fc.nat(400), (segments, ofSegment, ofFleet) => {
        const all: Made[] = [];
        for (const segment of segments) {
          const one = { nowMs: NOW, made: all, segment, devicesOfSegment: ofSegment, devicesOfFleet: ofFleet };
          if (spent(one) === undefined) all.push({ device: `d-${all.length}`, segment, atMs: NOW });
        }
        expect(all.length).toBeLessThanOrEqual(Math.max(1, Math.floor(ofFleet / 20)));
        for (const name of ['a/1', 'a/2', 'a/3'])
          expect(all.filter(({ segment }) => segment === name).length).toBeLessThanOrEqual(Math.max(1, Math.floor(ofSegment / 10)));
      }),
    );
  });
});
