// Whatever becomes of messages, drivers and the broker: nobody is counted as Confirmed who does not run the image, and everybody is counted the same.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Nature } from './testing/device.ts';
import { NEW, planOf } from './testing/plan.ts';
import { TestSite } from './testing/site.ts';

const natures: Nature[] = [
  {},
  {},
  {},
  { end: 'RolledBack', code: 10 },
  { end: 'Failed', code: 2 },
  { end: 'Failed', code: 8, times: 1 },
  { end: 'Rejected', code: 4 },
  { end: 'Rejected', code: 14, times: 2 },
  { end: 'Silent' },
  { end: 'Vanishes' },
  { isAway: true },
];
const anyNature = fc.constantFrom(...natures);

/** What each device ends as, where nothing is lost. */
function expected({ end = 'Confirmed', times, isAway }: Nature): string | undefined {
  if (isAway === true) return undefined;
  if (times !== undefined) return 'Confirmed';
  return { Confirmed: 'Confirmed', RolledBack: 'RolledBack', Failed: 'Failed', Rejected: 'Rejected', Silent: 'Lost', Vanishes: 'TimedOut' }[
    end
  ];
}

const isTrue = (site: TestSite): boolean =>
  site.devices.every(
    (device, at) => site.results()[at] !== 'Confirmed' || device.runs.digest === NEW.digest || device.nature.lies === true,
  );

describe('a driver', () => {
  it('counts the same when it is killed at any points', () => {
    fc.assert(
      fc.property(
        fc.array(anyNature, { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 10 }),
        (devices, kills) => {
          const site = new TestSite({ plan: (fence) => planOf({ fence }), devices });
          for (const rounds of kills) {
            for (let at = 0; at < rounds; at++) site.round();
            site.restart();
          }
          const counts = site.untilDone().counts;
          expect(site.results()).toEqual(devices.map(expected));
          expect(counts).toMatchObject({ straggler: devices.filter(({ isAway }) => isAway).length, inFlight: 0, waiting: 0 });
          expect(counts).toEqual(recounted(site));
          expect([...site.writes.values()].every((writes) => writes === 1)).toBe(true);
          expect(isTrue(site)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('brings everybody to the same end when the broker loses all that it kept, and when both happen', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom<Nature>({}, { end: 'RolledBack', code: 10 }, { end: 'Failed', code: 2 }, { end: 'Rejected', code: 4 }), {
          minLength: 1,
          maxLength: 8,
        }),
        fc.array(fc.record({ rounds: fc.integer({ min: 1, max: 12 }), what: fc.constantFrom('lose', 'kill', 'both') }), { maxLength: 4 }),
        (devices, events) => {
          const site = new TestSite({ plan: (fence) => planOf({ fence }), devices });
          for (const { rounds, what } of events) {
            for (let at = 0; at < rounds; at++) site.round();
            if (what !== 'kill') site.loseAll();
            if (what !== 'lose') site.restart();
          }
          site.untilDone();
          expect(site.results()).toEqual(devices.map(expected));
          expect(isTrue(site)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('believes no order, no repetition and no loss of messages against the evidence', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom<Nature>({}, { end: 'RolledBack', code: 10 }, { end: 'Silent' }), { minLength: 1, maxLength: 6 }),
        fc.array(fc.integer({ min: 0, max: 999 }), { minLength: 1, maxLength: 40 }),
        (devices, dice) => {
          const site = new TestSite({ plan: (fence) => planOf({ fence }), devices });
          const old: { topic: string; bytes: Buffer }[] = [];
          let at = 0;
          const next = (): number => dice[at++ % dice.length] ?? 0;
          site.wire = (messages) => {
            old.push(...messages);
            const kept = messages.filter(() => next() % 4 > 0);
            const again = old.filter(() => next() % 10 === 0).slice(-20);
            return next() % 2 === 0 ? [...again, ...kept] : [...kept.reverse(), ...again];
          };
          for (let round = 0; round < 60; round++) {
            site.round(next() % 50 === 0 ? 400_000 : 1000);
            if (next() % 100 === 0) site.restart();
            expect(isTrue(site)).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('never offers more in a minute, nor has more at work or of one group down, than it may', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom<Nature>({}, { end: 'RolledBack', code: 10 }, { end: 'Silent' }, { end: 'Vanishes' }, { isAway: true }), {
          minLength: 1,
          maxLength: 30,
        }),
        fc.record({
          perMinute: fc.integer({ min: 1, max: 10 }),
          maxInFlight: fc.integer({ min: 1, max: 6 }),
          most: fc.integer({ min: 1, max: 3 }),
        }),
        fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 3 }),
        (devices, { perMinute, maxInFlight, most }, kills) => {
          const site = new TestSite({
            plan: (fence) =>
              planOf({
                fence,
                wave: { perMinute, maxInFlight },
                rollout: { disruption: [{ groupBy: 'floor', maxUnavailable: String(most) }] },
              }),
            devices: devices.map((nature, at) => ({ ...nature, labels: { floor: String(at % 4) } })),
          });
          const offers = new Map<string, number>();
          for (let round = 0; round < 120; round++) {
            if (kills.includes(round)) site.restart();
            const { counts } = site.round(1500);
            expect(counts.inFlight ?? 0).toBeLessThanOrEqual(maxInFlight);
            const down = site.devices
              .map((device, at) => ({ floor: at % 4, isDown: isAtWork(site, device.name, at) }))
              .filter(({ isDown }) => isDown);
            for (const floor of [0, 1, 2, 3]) expect(down.filter((one) => one.floor === floor).length).toBeLessThanOrEqual(most);
            const first = site.sent.filter(({ at, order }) => at > site.now - 60_000 && order.directive.action === 'Install');
            for (const { at, order } of first) if (!offers.has(order.directive.nonce)) offers.set(order.directive.nonce, at);
            expect([...offers.values()].filter((at) => at > site.now - 60_000).length).toBeLessThanOrEqual(perMinute);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** It was told to install, and has not ended: none of these waits for another try. */
function isAtWork(site: TestSite, name: string, at: number): boolean {
  return site.results()[at] === undefined && site.sent.some(({ order }) => order.directive.aud === name);
}

/** The sets as they follow from the records alone, and from who was never reached. */
function recounted(site: TestSite): Record<string, number> {
  const results = site.results();
  const of = (...kinds: string[]): number => results.filter((result) => result !== undefined && kinds.includes(result)).length;
  return {
    ...{
      matched: results.length,
      waiting: 0,
      offered: results.length,
      inFlight: 0,
      straggler: results.filter((one) => one === undefined).length,
    },
    ...{ reached: results.filter((one) => one !== undefined).length, confirmed: of('Confirmed'), unproven: of('Confirmed') },
    ...{ failed: of('Failed', 'Rejected'), rolledBack: of('RolledBack'), timedOut: of('TimedOut'), lost: of('Lost') },
  };
}
