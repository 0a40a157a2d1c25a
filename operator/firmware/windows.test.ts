import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Window, windowAt, windowFault } from './windows.ts';

const night: Window = { cron: '0 3 * * 6', duration: '2h', tz: 'Europe/Berlin' };
const at = (time: string): number => Date.parse(time);
const stateOf = (windows: Window[] | undefined, time: string): [open: boolean, until: string | undefined] => {
  const { open, until } = windowAt(windows, at(time));
  return [open, until === undefined ? undefined : new Date(until).toISOString()];
};

describe('maintenance windows', () => {
  it.each<[says: string, windows: Window[] | undefined, time: string, open: boolean, until: string | undefined]>([
    ['without one it is always open', undefined, '2026-11-26T00:00:00Z', true, undefined],
    ['an empty list is none', [], '2026-11-26T00:00:00Z', true, undefined],
    ['closed before it begins', [night], '2026-11-28T01:59:59Z', false, '2026-11-28T02:00:00.000Z'],
    ['open from its first millisecond', [night], '2026-11-28T02:00:00Z', true, '2026-11-28T04:00:00.000Z'],
    ['to its last', [night], '2026-11-28T03:59:59.999Z', true, '2026-11-28T04:00:00.000Z'],
    ['and closed at its end', [night], '2026-11-28T04:00:00Z', false, '2026-12-05T02:00:00.000Z'],
    ['in summer an hour earlier by UTC', [night], '2026-07-04T01:00:00Z', true, '2026-07-04T03:00:00.000Z'],
    ['of two the one that is open', [night, { ...night, tz: 'UTC' }], '2026-11-28T04:30:00Z', true, '2026-11-28T05:00:00.000Z'],
    [
      'of two that are closed the next',
      [{ ...night, cron: '0 4 * * *' }, night],
      '2026-11-27T23:00:00Z',
      false,
      '2026-11-28T02:00:00.000Z',
    ],
    [
      'one that fires before it has closed stays open',
      [{ cron: '*/10 * * * *', duration: '1h', tz: 'UTC' }],
      '2026-11-26T00:05:00Z',
      true,
      '2026-11-26T01:00:00.000Z',
    ],
    [
      'what the clocks jump over begins after the jump',
      [{ cron: '30 2 * * *', duration: '1h', tz: 'Europe/Berlin' }],
      '2026-03-29T01:10:00Z',
      true,
      '2026-03-29T02:00:00.000Z',
    ],
    [
      'what comes twice begins the first time',
      [{ cron: '30 2 * * *', duration: '30m', tz: 'Europe/Berlin' }],
      '2026-10-25T01:35:00Z',
      false,
      '2026-10-26T01:30:00.000Z',
    ],
    ['the zone of the device is for the device to keep', [{ ...night, tz: 'Device' }], '2026-11-26T00:00:00Z', true, undefined],
    ['one that never fires never opens', [{ cron: '0 0 31 2 *', duration: '2h', tz: 'UTC' }], '2026-11-26T00:00:00Z', false, undefined],
    ['nor does one in no time zone', [{ ...night, tz: 'Mars/Olympus' }], '2026-11-26T00:00:00Z', false, undefined],
    ['nor one of no length', [{ ...night, duration: '0s' }], '2026-11-28T02:00:00Z', false, undefined],
  ])('%s', (_, windows, time, open, until) => expect(stateOf(windows, time)).toEqual([open, until]));

  it.each<[Window, string | undefined]>([
    [night, undefined],
    [{ ...night, tz: 'Device' }, undefined],
    [{ ...night, cron: '0 0 29 2 *' }, undefined],
    [{ ...night, cron: '0 0 31 2 *' }, 'cron "0 0 31 2 *" never fires'],
    [{ ...night, cron: '61 0 * * *' }, 'cron "61 0 * * *" never fires'],
    [{ ...night, tz: 'Mars/Olympus' }, 'there is no time zone Mars/Olympus'],
    [{ ...night, duration: '0h' }, 'duration 0h: the window would never be open'],
  ])('%j: %s', (window, fault) => expect(windowFault(window)).toBe(fault));

  const field = (max: number): fc.Arbitrary<string> =>
    fc.oneof(fc.constant('*'), fc.integer({ min: 1, max }).map(String), fc.constant('*/7'));
  const window = fc.record({
    cron: fc.tuple(field(59), field(23), field(28), field(12), field(6)).map((fields) => fields.join(' ')),
    duration: fc.constantFrom('1m', '90m', '26h'),
    tz: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe'),
  });

  it('change at the time that they name and not before', () => {
    fc.assert(
      fc.property(
        fc.array(window, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: at('2026-01-01'), max: at('2028-01-01') }),
        fc.nat(),
        (windows, now, number) => {
          const { open, until } = windowAt(windows, now);
          if (until === undefined) return;
          expect(until).toBeGreaterThan(now);
          expect(windowAt(windows, now + (number % (until - now))).open).toBe(open);
          if (!open) expect(windowAt(windows, until).open).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('whatever is written as a cron, an answer comes', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9*,/-]{1,12}( [0-9*,/-]{1,12}){4}$/), fc.string({ maxLength: 64 }), (cron, tz) => {
        const odd = { cron, duration: '1h', tz };
        if (windowFault(odd) !== undefined && tz !== 'Device') expect(windowAt([odd], at('2026-11-26')).open).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
