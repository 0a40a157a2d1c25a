// The power goes after each operation on the disk, and within each write.
import { describe, expect, it } from 'vitest';
import { CLASSES } from './layout.ts';
import type { Entry, Stored } from './record.ts';
import { afterCut, type Cut, memoryDisk } from './testing/disk.ts';
import { account, drain, entry, open } from './testing/world.ts';

const MAX_BYTES = 256 * 1024;
type Life = {
  log: ReturnType<typeof memoryDisk>['log'];
  appended: { entry: Entry; begun: number; certain: number }[];
  got: { one: Stored; after: number }[];
};

/** An outage in which every class comes to its bound, with a consumer that takes a little now and then, acknowledges most of it, and breaks off. */
async function live(): Promise<Life> {
  const disk = memoryDisk();
  const spool = await open(disk, MAX_BYTES);
  const life: Life = { log: disk.log, appended: [], got: [] };
  let n = 0;
  for (; n < 1_100; n += 50) {
    const begun = disk.log.length;
    const trends = Array.from({ length: 50 }, (_, at) => entry('trend', n + at));
    await Promise.all(trends.map((one) => spool.append(one)));
    life.appended.push(...trends.map((one) => ({ entry: one, begun, certain: disk.log.length })));
  }
  for (let round = 0; round < 18; round++) {
    const begun = disk.log.length;
    const entries = Array.from({ length: 20 }, () => CLASSES.map((of) => entry(of, n++))).flat();
    await Promise.all(
      entries.map(async (one) => {
        await spool.append(one);
        life.appended.push({ entry: one, begun, certain: disk.log.length });
      }),
    );
    if (round % 9 === 4) {
      const taken = await spool.take('cloud', 40);
      life.got.push(...taken.map((one) => ({ one, after: disk.log.length })));
      spool.acknowledge('cloud', taken.slice(0, 30));
      spool.giveBack('cloud');
    }
  }
  expect(disk.peak()).toBeLessThanOrEqual(MAX_BYTES);
  return life;
}

/** At the bound every operation: the last ones, in which each class gives way and the cursor is written. Before, a sample. */
const EACH_OF_THE_LAST = 90;
const SAMPLE = 53;

function* cutsOf({ log }: Life): Generator<{ count: number; cut: Cut }> {
  for (let count = 0; count <= log.length; count++) {
    const isSampled = count % SAMPLE === 0;
    if (count < log.length - EACH_OF_THE_LAST && !isSampled) continue;
    yield { count, cut: count % 2 === 0 ? 'unsynced lost' : 'all written' };
    yield { count, cut: { chance: count } };
    const last = log[count - 1];
    if (last?.does !== 'append' || last.bytes.length < 9) continue;
    for (const bytes of isSampled ? [60] : [1, last.bytes.length >> 1])
      yield { count, cut: count % 4 < 2 ? { torn: bytes } : { garbage: bytes } };
  }
}

describe('a power cut', () => {
  it('after any operation and within any write loses nothing that was acknowledged, doubles nothing, and leaves the disk within its bound', async () => {
    const life = await live();
    const seen = { cuts: 0, lost: 0, coarse: 0 };
    for (const { count, cut } of cutsOf(life)) {
      const files = afterCut(life.log, count, cut);
      const disk = memoryDisk(files);
      expect(disk.used()).toBeLessThanOrEqual(MAX_BYTES);
      const spool = await open(disk, MAX_BYTES);
      const before = life.got.filter(({ after }) => after <= count).map(({ one }) => one);
      const delivered = [...before, ...(await drain(spool))];
      const certain = life.appended.filter((one) => one.certain <= count).map((one) => one.entry);
      const maybe = life.appended.filter((one) => one.begun <= count && one.certain > count).map((one) => one.entry);
      expect(account(certain, maybe, delivered).wrong, `${count} ${JSON.stringify(cut)}`).toEqual([]);
      expect(spool.bytes()).toBe(0);
      seen.cuts += 1;
      seen.lost += delivered.filter(({ lost }) => lost > 0).length;
      seen.coarse += delivered.filter(({ key }) => key.startsWith('wide/')).length;
    }
    expect(seen.cuts).toBeGreaterThan(200);
    expect(seen.lost).toBeGreaterThan(0);
    expect(seen.coarse).toBeGreaterThan(0);
  });
});
