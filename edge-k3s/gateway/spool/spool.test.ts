import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../../operator/runtime/clock.ts';
import { emptyAggregate, include, mergePayloads, readAggregate, writeAggregate } from '../window/aggregate.ts';
import { CLASSES, type Class } from './layout.ts';
import type { Entry, Stored } from './record.ts';
import { openSpool, type Spool } from './spool.ts';
import { memoryDisk } from './testing/disk.ts';
import { account, atOnce, coarsening, drain, entry, MINUTE_MS, open, START_MS, windowsIn } from './testing/world.ts';

const MAX_BYTES = 256 * 1024;
const appendAll = (spool: Spool, entries: readonly Entry[]): Promise<unknown> => Promise.all(entries.map((one) => spool.append(one)));
const some = (of: Class, count: number, from = 0): Entry[] => Array.from({ length: count }, (_, n) => entry(of, from + n));
const numbers = (records: readonly Stored[]): number[] => records.map(({ payload }) => Buffer.from(payload).readUInt32BE());

/** In portions that are written one after the other, as they come over time. */
async function fill(spool: Spool, entries: readonly Entry[]): Promise<void> {
  for (let at = 0; at < entries.length; at += 60) await appendAll(spool, entries.slice(at, at + 60));
}

describe('the spool', () => {
  it('gives alerts newest first, the others oldest first, and each again until it is acknowledged', async () => {
    const spool = await open(memoryDisk());
    await appendAll(spool, [...some('alert', 5), ...some('trend', 5), ...some('security', 5)]);
    const taken = await spool.take('cloud', 9);
    const of = (records: readonly Stored[], one: Class): number[] => numbers(records.filter((record) => record.class === one));
    expect([of(taken, 'alert'), of(taken, 'security'), of(taken, 'trend')]).toEqual([
      [4, 3, 2, 1, 0],
      [0, 1],
      [0, 1],
    ]);
    spool.acknowledge('cloud', taken.slice(0, 3));
    expect(await spool.take('cloud', 20)).toHaveLength(6);
    spool.giveBack('cloud');
    expect(await drain(spool)).toHaveLength(12);
    expect(spool.waiting('cloud')).toEqual({ security: 0, alert: 0, trend: 0 });
  });

  it('gives the same after a restart, with the same keys, and nothing that was acknowledged', async () => {
    const disk = memoryDisk();
    const first = await open(disk);
    await appendAll(first, some('security', 40));
    const taken = await first.take('cloud', 20);
    first.acknowledge('cloud', taken.slice(0, 10));
    await first.close();
    await expect(first.append(entry('alert', 1))).rejects.toMatchObject({ code: 'HR-GW-105' });
    const again = await drain(await open(memoryDisk(disk.files())));
    expect(again.map(({ key }) => key)).toEqual(
      some('security', 40)
        .slice(10)
        .map(({ key }) => key),
    );
  });

  it('numbers go on where they were when all files are gone, so nothing new is taken for acknowledged', async () => {
    const disk = memoryDisk();
    const first = await open(disk);
    await appendAll(first, some('alert', 30));
    await drain(first);
    await first.close();
    expect([...disk.files().keys()]).toEqual(['cursor.cloud']);
    const second = await open(memoryDisk(disk.files()));
    await appendAll(second, some('alert', 3, 100));
    expect(numbers(await drain(second))).toEqual([102, 101, 100]);
  });

  it('two consumers each get everything, and a file goes when both have it', async () => {
    const disk = memoryDisk();
    const options = { disk, maxBytes: MAX_BYTES, consumers: ['cloud', 'screen'], clock: new FakeClock(), random: () => 0.5, coarsening };
    const clock = new FakeClock();
    const spool = await openSpool({ ...options, clock });
    const done = appendAll(spool, some('alert', 10));
    await clock.advance(100);
    await done;
    expect(await drain(spool)).toHaveLength(10);
    expect(spool.bytes()).toBeGreaterThan(0);
    expect(await drain(spool, 'screen')).toHaveLength(10);
    await spool.take('cloud', 1);
    expect(spool.bytes()).toBe(0);
  });

  it('waits for more before it writes, no longer than 100 ms, whatever the wall clock does', async () => {
    const clock = new FakeClock();
    const disk = memoryDisk();
    const spool = await open(disk, MAX_BYTES, clock);
    let isCertain = false;
    const one = spool.append(entry('alert', 1)).then(() => {
      isCertain = true;
    });
    clock.jumpWall(-86_400_000);
    await clock.advance(99);
    expect([isCertain, disk.used()]).toEqual([false, 0]);
    clock.jumpWall(2 * 86_400_000);
    await clock.advance(1);
    await one;
    expect(isCertain).toBe(true);
    expect(disk.log.filter(({ does }) => does === 'sync')).toHaveLength(1);
  });

  it('merges trends instead of dropping them: all windows of days are there, in less room', async () => {
    const disk = memoryDisk();
    const spool = await open(disk, MAX_BYTES);
    const all = some('trend', 4 * 60 * 24);
    await fill(spool, all);
    expect(disk.peak()).toBeLessThanOrEqual(MAX_BYTES);
    const got = await drain(spool);
    expect(got.flatMap(({ payload }) => windowsIn(payload)).sort((a, b) => a - b)).toEqual(all.map((_, n) => n));
    expect(got.filter(({ lost }) => lost > 0)).toEqual([]);
    expect(got.length).toBeLessThan(all.length / 2);
  });

  it('merges no trend that its giver may give again after a crash, and each when that can be no more', async () => {
    const options = { maxBytes: MAX_BYTES, consumers: ['cloud'], clock: atOnce, random: () => 0.5, coarsening, isGivenAgain: true };
    const disk = memoryDisk();
    const spool = await openSpool({ ...options, disk });
    await fill(spool, some('trend', 1_200));
    const whole = await openSpool({ ...options, disk: memoryDisk(disk.files()) });
    // Nothing was merged, here nor by the next process, before either was told so.
    await fill(whole, some('trend', 40, 1_200));
    const width = ({ fromMs, toMs }: { fromMs: number; toMs: number }): number => toMs - fromMs;
    const got = await drain(await openSpool({ ...options, disk: memoryDisk(disk.files()) }));
    expect(new Set(got.filter(({ lost }) => lost === 0).map(width))).toEqual(new Set([MINUTE_MS]));
    expect(got.reduce((sum, { lost }) => sum + lost, 0)).toBeGreaterThan(0);

    const turns = await openSpool({ ...options, disk: memoryDisk() });
    for (let at = 0; at < 1_200; at += 40) {
      turns.stands(turns.turn());
      await fill(turns, some('trend', 40, at));
    }
    const merged = await drain(turns);
    expect(merged.filter(({ lost }) => lost > 0)).toEqual([]);
    expect(Math.max(...merged.map(width))).toBeGreaterThan(MINUTE_MS);
  });

  it('of alerts that are one of many keeps the first and the last, and says what is between', async () => {
    const spool = await open(memoryDisk(), MAX_BYTES);
    const all = some('alert', 2_000);
    await fill(spool, all);
    const got = await drain(spool);
    const result = account(all, [], got);
    expect(result.wrong).toEqual([]);
    expect(result.lost.alert).toBe(result.missing.alert);
    expect(result.missing.alert).toBeGreaterThan(1_000);
    for (let kind = 0; kind < 5; kind++) {
      const mine = all.map((_, n) => n).filter((n) => n % 5 === kind);
      expect(numbers(got.filter(({ lost }) => lost === 0))).toEqual(expect.arrayContaining([mine[0], mine.at(-1)]));
    }
  });

  it('of security events drops the oldest and says how many and from when to when, in one record', async () => {
    const spool = await open(memoryDisk(), MAX_BYTES);
    const all = some('security', 1_500);
    await fill(spool, all);
    const got = await drain(spool);
    expect(account(all, [], got)).toMatchObject({ wrong: [] });
    const losses = got.filter(({ lost }) => lost > 0);
    expect(losses).toHaveLength(1);
    expect(losses[0]).toMatchObject({ fromMs: START_MS, subject: 'bound', lost: 1_500 - got.length + 1 });
  });

  it('a burst of one class takes nothing from another', async () => {
    const spool = await open(memoryDisk(), MAX_BYTES);
    await appendAll(spool, [...some('alert', 20), ...some('trend', 20)]);
    await fill(spool, some('security', 3_000));
    const got = await drain(spool);
    expect(got.filter(({ class: of }) => of !== 'security')).toHaveLength(40);
  });

  it('what somebody may have is neither merged nor dropped while there is another way', async () => {
    const disk = memoryDisk();
    const spool = await open(disk, MAX_BYTES);
    await fill(spool, some('trend', 60));
    const taken = await spool.take('cloud', 40);
    await fill(spool, some('trend', 3_000, 60));
    const restarted = await open(memoryDisk(disk.files()), MAX_BYTES);
    const got = await drain(restarted);
    expect(got.slice(0, 40).map(({ key }) => key)).toEqual(taken.map(({ key }) => key));
    expect(account(some('trend', 3_060), [], [...taken, ...got]).wrong).toEqual([]);
  });

  it('erases a device: no file has a byte of it, and the others are all there', async () => {
    const disk = memoryDisk();
    const spool = await open(disk, MAX_BYTES);
    const secret = (n: number): Partial<Entry> => (n % 7 === 3 ? { payload: Buffer.from(`0000canary-${n}`) } : {});
    const all = Array.from({ length: 150 }, (_, n) => [entry('alert', n, secret(n)), entry('security', n, secret(n))]).flat();
    await fill(spool, all.slice(0, 200));
    const waiting = appendAll(spool, all.slice(200));
    expect(await spool.erase('d-3.berlin')).toBe(42);
    await waiting;
    const left = Buffer.concat([...disk.files().values()]);
    expect([left.includes('d-3.berlin'), left.includes('canary'), left.includes('d-4.berlin')]).toEqual([false, false, true]);
    const got = await drain(await open(memoryDisk(disk.files()), MAX_BYTES));
    expect(got).toHaveLength(300 - 42);
  });

  it('refuses what does not fit, and more than the disk can take', async () => {
    const spool = await open(memoryDisk(), MAX_BYTES);
    await expect(spool.append(entry('alert', 1, { payload: Buffer.alloc(9_000) }))).rejects.toMatchObject({ code: 'HR-GW-103' });
    await expect(spool.append(entry('alert', 1, { fromMs: Number.NaN }))).rejects.toMatchObject({ code: 'HR-GW-103' });
    const burst = await Promise.allSettled(some('alert', 1_000).map((one) => spool.append(one)));
    const refused = burst.filter((one) => one.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every(({ reason }) => (reason as { code: string }).code === 'HR-GW-104')).toBe(true);
    const taken = burst.length - refused.length;
    expect((await drain(spool)).length).toBe(taken);
  });

  it('an outage of any length, with clocks that jump and a tenfold burst: no gap without its record, and the bound holds', async () => {
    for (const hours of [0, 1, 8, 72]) {
      const disk = memoryDisk();
      const spool = await open(disk, MAX_BYTES);
      const all: Entry[] = [];
      let n = 0;
      for (let minute = 0; minute < hours * 60 + 2; minute++) {
        const jump = minute % 97 === 50 ? 86_400_000 * (minute % 2 === 0 ? 1 : -1) : 0;
        const many = minute % 50 === 0 ? 10 : 1;
        // A stream's windows are in order whatever the clocks do: the window stage sees to that. Alerts and events have the times that they have.
        const now = [...some('trend', 4, minute * 4), ...CLASSES.slice(0, 2).flatMap((of) => some(of, many, n))].map((one) =>
          one.class === 'trend' ? one : { ...one, fromMs: one.fromMs + jump, toMs: one.toMs + jump },
        );
        n += many;
        all.push(...now);
        await appendAll(spool, now);
      }
      const got = await drain(spool);
      expect(account(all, [], got).wrong, `${hours} h`).toEqual([]);
      expect(disk.peak()).toBeLessThanOrEqual(MAX_BYTES);
      expect(got.some(({ lost }) => lost > 0)).toBe(hours >= 8);
      expect(got.filter(({ class: of }) => of === 'trend').reduce((sum, { payload }) => sum + windowsIn(payload).length, 0)).toBe(
        (hours * 60 + 2) * 4,
      );
    }
  });

  it('a stream is merged only as far as corrections can no longer come', async () => {
    expect(coarsening.settleMs).toBe(2 * MINUTE_MS);
    const spool = await open(memoryDisk(), MAX_BYTES);
    const late: Entry[] = some('trend', 4_000).flatMap((one, n) => (n % 10 === 0 ? [one, { ...one, revision: 1 }] : [one]));
    await fill(spool, late);
    const got = await drain(spool);
    const wide = got.filter(({ key }) => key.startsWith('wide/')).flatMap(({ payload }) => windowsIn(payload));
    expect(wide.length).toBeGreaterThan(1_000);
    expect(new Set(wide).size).toBe(wide.length);
    const corrections = got.filter(({ revision }) => revision === 1).flatMap(({ payload }) => windowsIn(payload));
    expect(corrections.filter((one) => wide.includes(one))).toEqual([]);
  });

  it('merges aggregates of windows: every value of two days is in what leaves', async () => {
    const disk = memoryDisk();
    const how = { ...coarsening, merge: mergePayloads };
    const spool = await openSpool({ disk, maxBytes: MAX_BYTES, consumers: ['cloud'], clock: atOnce, random: () => 0.5, coarsening: how });
    const minutes = 2 * 24 * 60;
    const all = Array.from({ length: minutes }, (_, n) => {
      const aggregate = emptyAggregate();
      for (let at = 0; at < 4; at++) include(aggregate, n * 4 + at, Math.sin(n / 200) * 20);
      const times = { fromMs: START_MS + n * MINUTE_MS, toMs: START_MS + (n + 1) * MINUTE_MS };
      return entry('trend', n, { subject: 'room', ...times, payload: writeAggregate(aggregate) });
    });
    await fill(spool, all);
    const got = await drain(spool);
    expect(got.some(({ key }) => key.startsWith('wide/'))).toBe(true);
    expect(got.reduce((sum, { payload }) => sum + readAggregate(payload).count, 0)).toBe(minutes * 4);
    expect(disk.peak()).toBeLessThanOrEqual(MAX_BYTES);
  });
});
