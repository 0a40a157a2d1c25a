// A rollout to thousands of devices, half of them with a fault each: everything of ota.md section 7, liars, and devices that play with their state. The drivers are the core of
// `operator rollout`; what they count is judged by a ledger that knows what each device runs.
import { describe, expect, it } from 'vitest';
import { differences } from './compare.ts';
import { rightEndOf } from './ends.ts';
import { type Outcome, runFleet } from './fleet.ts';
import { FORGER, natures } from './nature.ts';
import type { Size } from './scene.ts';

const sizeOf = (devices: number): Size => ({ devices, shards: 3, perMinute: Math.ceil(devices / 30), maxInFlight: Math.ceil(devices / 4) });
const HOURS = 14;
const VERIFIES = 10;

const endsOf = ({ devices, records }: Outcome, nature: string): Set<string> =>
  new Set(devices.filter((one) => one.nature.name === nature).map(({ name }) => String(records.get(name)?.result)));

describe('a rollout to a fleet of which half has a fault', () => {
  it.each([
    ['with drivers killed, taken over from and a broker that ends and forgets', 1200, 1, { kills: 15, ends: 4, doubles: 3, replays: 100 }],
    ['with twice as many of them in the same hours', 600, 7, { kills: 40, ends: 10, doubles: 6, replays: 200 }],
    ['with a driver killed every six minutes', 600, 16, { kills: 40, ends: 2, doubles: 0, replays: 50 }],
  ])('%s, comes to the same ends as without', async (_, devices, seed, trouble) => {
    const run = { size: sizeOf(devices), seed, hours: HOURS, verifies: VERIFIES };
    const quiet = await runFleet(run);
    const troubled = await runFleet({ ...run, trouble });
    for (const { verdict, isDone } of [quiet, troubled]) {
      expect(verdict.wrongConfirmed).toEqual([]);
      expect(verdict.mostWrites).toBeLessThanOrEqual(2);
      expect(isDone).toBe(true);
    }
    expect(troubled.kills).toBe(trouble.kills);
    expect(differences(quiet, troubled)).toEqual([]);
  });

  it('counts sets: what the drivers report is what stands in the records', async () => {
    const { records, counted, devices } = await runFleet({ size: sizeOf(1000), seed: 3, hours: HOURS, verifies: 1 });
    const of = (...results: string[]): number => [...records.values()].filter((one) => results.includes(String(one?.result))).length;
    expect(counted).toMatchObject({
      ...{ matched: devices.length, confirmed: of('Confirmed'), failed: of('Failed', 'Rejected'), rolledBack: of('RolledBack') },
      ...{ timedOut: of('TimedOut'), lost: of('Lost'), straggler: of('undefined'), waiting: 0, inFlight: 0 },
    });
  });

  it('brings each kind of device to the end that is right', async () => {
    const outcome = await runFleet({ size: sizeOf(1500), seed: 5, hours: HOURS, verifies: VERIFIES });
    const wrong = natures.flatMap(({ name }) => {
      const ends = [...endsOf(outcome, name)].sort().join(' ');
      return ends === rightEndOf(name) ? [] : [`${name}: ${ends}`];
    });
    expect(wrong).toEqual([]);
    // The ledger has seen each of them: it would have seen others.
    expect(outcome.verdict.forged).toBe(outcome.devices.filter(({ nature }) => nature.name === FORGER).length);
    expect(outcome.verdict.forged).toBeGreaterThan(0);
  });
});
