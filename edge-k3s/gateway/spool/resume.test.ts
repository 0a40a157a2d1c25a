import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../operator/runtime/random.ts';
import { refilled, shareOut, waitMs } from './resume.ts';

describe('coming back after an outage', () => {
  it('is spread over the whole of a time that doubles and has an end', () => {
    const random = seededRandom(1);
    const waits = (attempt: number): number[] => Array.from({ length: 2_000 }, () => waitMs(attempt, random));
    for (const [attempt, longest] of [
      [0, 1_000],
      [3, 8_000],
      [40, 300_000],
    ] as const) {
      const all = waits(attempt);
      expect(Math.max(...all)).toBeLessThan(longest);
      // A tenth of a fleet in each tenth of the time.
      for (let tenth = 0; tenth < 10; tenth++)
        expect(all.filter((one) => Math.floor((one / longest) * 10) === tenth).length).toBeGreaterThan(140);
    }
  });

  it.each([
    ['starts with nothing to spend at once', { count: 0, atMs: 0 }, 0, 0],
    ['earns by the time', { count: 0, atMs: 0 }, 500, 5],
    ['saves no more than one second', { count: 0, atMs: 0 }, 72 * 3_600_000, 10],
    ['earns nothing while the clock stands or goes back', { count: 3, atMs: 5_000 }, 1_000, 3],
  ])('%s', (_name, tokens, atMs, expected) => expect(refilled(tokens, atMs, 10).count).toBeCloseTo(expected));

  it('sends no more than agreed over any time, however often it asks', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3_000), { maxLength: 60 }), fc.integer({ min: 1, max: 500 }), (steps, perSecond) => {
        let [tokens, sent, atMs] = [{ count: 0, atMs: 0 }, 0, 0];
        for (const step of steps) {
          atMs += step;
          tokens = refilled(tokens, atMs, perSecond);
          const now = Math.floor(tokens.count);
          sent += now;
          tokens = { ...tokens, count: tokens.count - now };
          expect(sent).toBeLessThanOrEqual((atMs * perSecond) / 1_000 + 1e-6);
        }
      }),
    );
  });

  it('leaves nobody waiting while there is room, gives no more than is there, and every class its share', () => {
    const waiting = fc.record({ security: fc.nat(500), alert: fc.nat(500), trend: fc.nat(500) });
    fc.assert(
      fc.property(waiting, fc.nat(600), (all, limit) => {
        const given = shareOut(limit, all);
        const sum = given.security + given.alert + given.trend;
        expect(sum).toBe(Math.min(limit, all.security + all.alert + all.trend));
        for (const [of, share] of [
          ['alert', 0.5],
          ['security', 0.2],
          ['trend', 0.3],
        ] as const) {
          expect(given[of]).toBeLessThanOrEqual(all[of]);
          expect(given[of]).toBeGreaterThanOrEqual(Math.min(all[of], Math.floor(limit * share)));
        }
      }),
    );
  });
});
