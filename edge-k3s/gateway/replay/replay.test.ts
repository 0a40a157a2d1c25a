import { beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../../operator/runtime/clock.ts';
import { seededRandom } from '../../../operator/runtime/random.ts';
import { afterCut, type MemoryDisk, memoryDisk } from '../spool/testing/disk.ts';
import { atOnce } from '../spool/testing/world.ts';
import type { Rules } from './decide.ts';
import type { Envelope } from './envelope.ts';
import { openReplay, type Replay } from './replay.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const rules: Rules = { window: 64, maxSkewMs: 120_000 };
type Sent = { device: string; one: Omit<Envelope, 'm'> };

let nowMs = NOW;
const clock: Clock = { ...atOnce, now: () => nowMs };
const open = (disk: MemoryDisk, maxDevices = 1_000): Promise<Replay> => openReplay({ disk, clock, maxDevices });
const send = (replay: Replay, { device, one }: Sent): string => {
  const verdict = replay.check(device, one, rules);
  if (!verdict.accepted) return verdict.code;
  verdict.certain.catch(() => undefined);
  return 'accepted';
};
const acceptedOf = (replay: Replay, all: readonly Sent[]): Sent[] => all.filter((one) => send(replay, one) === 'accepted');
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** 10,000 messages of 20 devices, each block of a window's size in any order. */
function recorded(boot: number, seed = 1): Sent[] {
  const random = seededRandom(seed);
  return Array.from({ length: 20 }, (_, device) =>
    Array.from(
      { length: 500 },
      (_, n): Sent => ({ device: `d-${device}.berlin`, one: { boot, seq: n + 1, ts: NOW + (n % 60) * 1_000, backfill: false } }),
    )
      .map((sent) => ({ sent, at: sent.one.seq + random() * 63 }))
      .sort((a, b) => a.at - b.at)
      .map(({ sent }) => sent),
  ).flat();
}

describe('10,000 recorded messages', () => {
  beforeEach(() => {
    nowMs = NOW;
  });

  it('are all taken once, out of order within the window too', async () => {
    const replay = await open(memoryDisk());
    expect(acceptedOf(replay, recorded(1))).toHaveLength(10_000);
  });

  it('sent again are taken by nobody: in the same session, in any order, after a restart of the gateway, after one of the device', async () => {
    const disk = memoryDisk();
    const replay = await open(disk);
    const first = recorded(1);
    acceptedOf(replay, first);
    expect(acceptedOf(replay, first)).toEqual([]);
    expect(acceptedOf(replay, recorded(1, 2))).toEqual([]);
    await settled();
    const again = await open(memoryDisk(disk.files()));
    expect(again.damaged).toBe(0);
    expect(acceptedOf(again, first)).toEqual([]);
    const second = recorded(2);
    expect(acceptedOf(again, second)).toHaveLength(10_000);
    expect(acceptedOf(again, [...first, ...second])).toEqual([]);
    nowMs += 86_400_000;
    expect(acceptedOf(again, [...first, ...second])).toEqual([]);
  });

  it('are not taken for another device that sent as many', async () => {
    const replay = await open(memoryDisk());
    const mine = recorded(1);
    acceptedOf(replay, mine);
    expect(
      acceptedOf(
        replay,
        mine.map(({ one }) => ({ device: 'd-1.berlin', one })),
      ),
    ).toEqual([]);
  });

  it('after a power cut anywhere: what was certain is not taken again, what was not is', async () => {
    const disk = memoryDisk();
    const replay = await open(disk);
    const sent: (Sent & { begun: number; certain: number })[] = [];
    for (const [n, one] of recorded(1).slice(0, 2_000).entries()) {
      const entry = { ...one, begun: disk.log.length, certain: Number.POSITIVE_INFINITY };
      const verdict = replay.check(one.device, one.one, rules);
      if (!verdict.accepted) throw new Error(verdict.code);
      sent.push(entry);
      void verdict.certain.then(() => {
        entry.certain = disk.log.length;
      });
      if (n % 40 === 0) await settled();
      if (n % 700 === 699) await replay.forget(`none-${n}.berlin`);
    }
    await settled();
    const forgotten = 'd-0.berlin';
    await replay.forget(forgotten);
    for (let count = 2; count <= disk.log.length; count += 11)
      for (const cut of ['unsynced lost', { torn: 11 }, { garbage: 40 }, { chance: count }] as const) {
        const again = await open(memoryDisk(afterCut(disk.log, count, cut)));
        for (const { device, one, begun, certain } of sent.filter((entry) => entry.begun <= count)) {
          if (device === forgotten) continue;
          const found = send(again, { device, one });
          if (certain <= count) expect(found, `${count} ${JSON.stringify(cut)}`).not.toBe('accepted');
          else if (begun === count) expect(found).toBe('accepted');
        }
      }
  });
});

describe('what is kept of devices', () => {
  it('has a bound: one device more is refused, and those that are known go on', async () => {
    const replay = await open(memoryDisk(), 2);
    const of = (device: string, seq: number): string => send(replay, { device, one: { boot: 1, seq, ts: NOW, backfill: false } });
    expect([of('a.berlin', 1), of('b.berlin', 1), of('c.berlin', 1), of('a.berlin', 2)]).toEqual([
      'accepted',
      'accepted',
      'HR-GW-207',
      'accepted',
    ]);
    await replay.forget('a.berlin');
    expect(of('c.berlin', 1)).toBe('accepted');
  });

  it('does not grow with what one device sends, in memory or on disk', async () => {
    const disk = memoryDisk();
    const replay = await open(disk);
    for (let n = 1; n <= 60_000; n++) {
      send(replay, {
        device: 'd-1.berlin',
        one: { boot: n % 1_000 === 0 ? n : Math.floor(n / 1_000) * 1_000 || 1, seq: n * 7, ts: NOW, backfill: false },
      });
      if (n % 400 === 0) await settled();
    }
    await settled();
    expect(replay.devices()).toBe(1);
    expect(disk.peak()).toBeLessThan(2 * 1024 ** 2);
    expect(disk.files().size).toBe(1);
  });

  it('is gone from the disk when the device is deleted', async () => {
    const disk = memoryDisk();
    const replay = await open(disk);
    for (const device of ['a.berlin', 'b.berlin']) send(replay, { device, one: { boot: 1, seq: 1, ts: NOW, backfill: false } });
    await settled();
    expect(Buffer.concat([...disk.files().values()]).includes('a.berlin')).toBe(true);
    await replay.forget('a.berlin');
    const left = Buffer.concat([...disk.files().values()]);
    expect([left.includes('a.berlin'), left.includes('b.berlin')]).toEqual([false, true]);
  });

  it('a disk that fails: nothing more is taken until the gateway has read it again', async () => {
    const disk = memoryDisk();
    const replay = await open(disk);
    disk.faults = { fail: (does) => (does === 'sync' ? Object.assign(new Error('of the disk'), { code: 'EIO' }) : undefined) };
    const verdict = replay.check('a.berlin', { boot: 1, seq: 1, ts: NOW, backfill: false }, rules);
    await expect(verdict.accepted && verdict.certain).rejects.toMatchObject({ code: 'HR-GW-102' });
    expect(replay.check('a.berlin', { boot: 1, seq: 2, ts: NOW, backfill: false }, rules)).toEqual({ accepted: false, code: 'HR-GW-102' });
  });
});
