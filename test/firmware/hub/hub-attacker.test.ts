// An attacker with full rights on the hub makes no device boot an image that the offline keys did not sign, or one below its floor. What it may do: choose among the
// releases that they have signed, and keep devices from being updated. Flash that the running image writes itself is not the hub's; the bootloader is tested for that
// beside it (secure boot, power-cut.test.ts).
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SigningKey } from '../../../operator/firmware/signing-key.ts';
import type { Cut } from '../../simulator/firmware/flash.ts';
import { memoryFlash } from '../../simulator/firmware/flash.ts';
import { factory } from '../../simulator/firmware/testing/site.ts';
import { attacks } from './attacks.ts';
import { handOn, rootsUpTo } from './hand.ts';
import { type Loot, makeLoot } from './loot.ts';
import { CLOCKS, type Clock, type Files, makePrey, type Prey } from './prey.ts';
import { move, play } from './random.ts';

/** Power cuts in each attack. */
const MOST_CUTS = 25;
const bootKeys = generateKeyPairSync('ed25519');

describe('an attacker with full rights on the hub', () => {
  let loot: Loot;
  /** The memory of a device that runs `current` and knows root 2. */
  let files: Files;
  beforeAll(async () => {
    loot = await makeLoot();
    files = new Map();
    factory(memoryFlash(files), loot.genuine.factory);
    const prey = await makePrey(loot, { files, clock: 'right', bootKeys });
    prey.web.set('https://fw/roots/2.root.json', loot.secondRoot);
    await handOn(loot, prey).order(loot.genuine.current, { fields: { ...rootsUpTo(loot.genuine.current, 2), seq: 1, fence: 1 } });
    expect([prey.heard.end, prey.runs()]).toEqual(['Confirmed', loot.genuine.current.digest]);
    files = prey.files();
  });

  const started = (clock: Clock, cut?: { after: number; what: Cut }): Promise<Prey> =>
    makePrey(loot, { files, clock, bootKeys, ...(cut === undefined ? {} : { cut }) });

  it.each(attacks.map((attack) => [attack.name, attack] as const))('gets nothing by %s', async (_, { act, ends }) => {
    for (const clock of CLOCKS) {
      const prey = await started(clock);
      await act(handOn(loot, prey));
      expect(prey.violations, clock).toEqual([]);
      expect(prey.runs(), `${clock}: it starts nothing any more`).toBeDefined();
      if (clock === 'right') expect(prey.heard.end).toBe(ends);
      if (clock === 'after the roots have expired') expect([...prey.starts.keys()]).toEqual(['2.4.0']);
    }
  });

  it.each(attacks.map((attack, at) => [attack.name, attack, at] as const))(
    'gets nothing by %s when the power goes meanwhile',
    async (_, { act }, at) => {
      const whole = await started('right');
      await act(handOn(loot, whole));
      const cuts = ['all written', 'unsynced lost', { torn: 7 }, { garbage: 7 }] as const;
      const step = Math.ceil(whole.operations() / MOST_CUTS);
      // Each attack begins at another place: together they are cut everywhere.
      for (let after = 1 + (at % step); after <= whole.operations(); after += step) {
        const prey = await started('right', { after, what: cuts[(after + at) % cuts.length] ?? 'all written' });
        await act(handOn(loot, prey));
        expect(prey.violations, `after ${after} operations`).toEqual([]);
        expect(prey.runs(), `after ${after} operations`).toBeDefined();
      }
    },
  );

  it('gets nothing by any of it in any order, by chance', async () => {
    const starts = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...CLOCKS), fc.array(move, { minLength: 1, maxLength: 8 }), async (clock, moves) => {
        const prey = await played(clock, moves, loot.stolen);
        for (const [version, times] of prey.starts) starts.set(version, (starts.get(version) ?? 0) + times);
        expect(prey.violations).toEqual([]);
        expect(prey.runs()).toBeDefined();
      }),
      { numRuns: 300 },
    );
    // It has come far: each of the genuine releases that it may choose was started, and none that it may not.
    expect([...starts.keys()].sort()).toEqual(['2.3.8', '2.4.0', '2.5.1', '2.6.0']);
  });

  it('with one key more is stopped by nothing: the ledger sees what was started', async () => {
    const keys = [...loot.stolen, loot.third];
    const prey = await started('right');
    const hand = handOn(loot, prey);
    const evil = hand.forged(keys);
    await hand.order(evil);
    expect([prey.heard.end, prey.runs()]).toEqual(['Confirmed', evil.digest]);
    expect(prey.violations).toContain('started what nobody signed: 6.6.6');
    const found = await fc.check(
      fc.asyncProperty(
        fc.array(move, { minLength: 4, maxLength: 8 }),
        async (moves) => (await played('right', moves, keys)).violations.length === 0,
      ),
      { numRuns: 300 },
    );
    expect(found.failed).toBe(true);
  });

  it('may choose among the signed releases, and the real keys still bring the next one', async () => {
    const prey = await started('none');
    const hand = handOn(loot, prey);
    await hand.order(loot.genuine.older);
    expect(prey.runs()).toBe(loot.genuine.older.digest);
    await hand.order(loot.genuine.next);
    expect([prey.heard.end, prey.runs()]).toEqual(['Confirmed', loot.genuine.next.digest]);
  });

  // The limit of the model: nobody but the hub could have told it. A device with a clock believes root 1 until that expires, one without a clock for good.
  it('can keep root 2 from a device that has never heard of it, as long as root 1 has not expired', async () => {
    const before: Files = new Map();
    factory(memoryFlash(before), loot.genuine.factory);
    const ends = new Map<Clock, string>();
    for (const clock of CLOCKS) {
      const prey = await makePrey(loot, { files: before, clock, bootKeys });
      const hand = handOn(loot, prey);
      await hand.order(hand.forged(loot.retired));
      ends.set(clock, prey.heard.end);
    }
    expect(Object.fromEntries(ends)).toEqual({
      ...{ right: 'Confirmed', none: 'Confirmed', 'of 1970': 'Confirmed' },
      'after the roots have expired': 'Rejected 6',
    });
  });

  async function played(clock: Clock, moves: readonly Parameters<typeof play>[1][], keys: readonly SigningKey[]): Promise<Prey> {
    const { cut } = moves[0] ?? {};
    const prey = await started(clock, cut);
    const hand = handOn(loot, prey);
    for (const one of moves) await play(hand, one, keys);
    return prey;
  }
});
