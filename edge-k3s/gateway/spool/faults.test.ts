import { describe, expect, it } from 'vitest';
import type { Class } from './layout.ts';
import type { Entry } from './record.ts';
import { afterCut, memoryDisk } from './testing/disk.ts';
import { account, drain, entry, open } from './testing/world.ts';

const some = (of: Class, count: number, from = 0): Entry[] => Array.from({ length: count }, (_, n) => entry(of, from + n));
const failed = (code: string): Error => Object.assign(new Error('of the disk'), { code });

describe('a disk that fails', () => {
  it('is full: nothing is acknowledged that is not there, what was there stays, and it goes on when there is room again', async () => {
    const disk = memoryDisk(new Map(), { room: 3_000 });
    const spool = await open(disk);
    const certain: Entry[] = [];
    for (const one of some('alert', 60))
      await spool.append(one).then(
        () => certain.push(one),
        (error: unknown) => expect(error).toMatchObject({ code: 'HR-GW-101' }),
      );
    expect(certain.length).toBeGreaterThan(5);
    expect(certain.length).toBeLessThan(60);
    disk.faults = {};
    for (const one of some('alert', 10, 100)) await spool.append(one).then(() => certain.push(one));
    const got = await drain(await open(memoryDisk(afterCut(disk.log, disk.log.length, 'unsynced lost'))));
    expect(account(certain, [], got)).toMatchObject({ wrong: [], lost: { alert: 0 } });
    expect(got).toHaveLength(certain.length);
  });

  it('does not sync: the file is not trusted with more', async () => {
    const disk = memoryDisk();
    const spool = await open(disk);
    await spool.append(entry('alert', 1));
    disk.faults = { fail: (does) => (does === 'sync' ? failed('EIO') : undefined) };
    await expect(spool.append(entry('alert', 2))).rejects.toMatchObject({ code: 'HR-GW-102' });
    disk.faults = {};
    await spool.append(entry('alert', 3));
    expect([...disk.files().keys()].filter((name) => name.startsWith('alert.'))).toHaveLength(2);
    const got = await drain(await open(memoryDisk(disk.files())));
    expect(got.map(({ key }) => key)).toEqual([entry('alert', 3).key, entry('alert', 1).key]);
  });

  it('does not even cut back: it takes nothing more until it was read again', async () => {
    const disk = memoryDisk();
    const spool = await open(disk);
    await spool.append(entry('alert', 1));
    disk.faults = { fail: (does) => (['sync', 'truncate'].includes(does) ? failed('EIO') : undefined) };
    await expect(spool.append(entry('alert', 2))).rejects.toMatchObject({ code: 'HR-GW-102' });
    disk.faults = {};
    await expect(spool.append(entry('alert', 3))).rejects.toMatchObject({ code: 'HR-GW-102' });
    const again = await open(memoryDisk(disk.files()));
    await again.append(entry('alert', 3));
    expect(account([entry('alert', 1), entry('alert', 3)], [entry('alert', 2)], await drain(again)).wrong).toEqual([]);
  });

  it('has altered bytes: the others are there, and a record names what is not', async () => {
    const disk = memoryDisk();
    const spool = await open(disk);
    const all = some('security', 120);
    for (let at = 0; at < all.length; at += 20) await Promise.all(all.slice(at, at + 20).map((one) => spool.append(one)));
    await spool.close();
    const files = disk.files();
    const [name] = [...files.keys()].filter((one) => one.startsWith('security.')).sort();
    files.get(name ?? '')?.fill(0, 1_000, 2_000);
    const got = await drain(await open(memoryDisk(files)));
    const result = account(all, [], got);
    expect(result.wrong).toEqual([]);
    expect(result.missing.security).toBeGreaterThan(3);
    expect(got.filter(({ lost }) => lost > 0)).toMatchObject([{ subject: 'damage', lost: result.missing.security }]);
  });

  it('does not read a file: a record says how much it was at the most, and the rest goes on', async () => {
    const disk = memoryDisk();
    const spool = await open(disk);
    const all = some('security', 120);
    for (let at = 0; at < all.length; at += 20) await Promise.all(all.slice(at, at + 20).map((one) => spool.append(one)));
    const names = [...disk.files().keys()].filter((one) => one.startsWith('security.')).sort();
    for (const bad of [names[1], names.at(-1)]) {
      const faulty = memoryDisk(disk.files(), { fail: (does, name) => (does === 'read' && name === bad ? failed('EIO') : undefined) });
      const again = await open(faulty);
      await again.append(entry('security', 500));
      const got = await drain(again);
      const missing = all.filter(({ key }) => !got.some((one) => one.key === key));
      const losses = got.filter(({ lost }) => lost > 0);
      expect(losses).toHaveLength(1);
      expect(losses[0]?.lost).toBeGreaterThanOrEqual(missing.length);
      expect(missing.length).toBeGreaterThan(0);
      expect(got.some(({ key }) => key === entry('security', 500).key)).toBe(true);
      expect(again.bytes()).toBe(0);
    }
  });

  it('has lost the cursor: everything is offered again with its key, and nothing is merged that the cloud may have', async () => {
    const disk = memoryDisk();
    const spool = await open(disk);
    const all = some('trend', 400);
    for (let at = 0; at < all.length; at += 20) await Promise.all(all.slice(at, at + 20).map((one) => spool.append(one)));
    const before = await spool.take('cloud', 50);
    spool.acknowledge('cloud', before);
    await spool.take('cloud', 1);
    const files = disk.files();
    files.get('cursor.cloud')?.fill(1, 4, 9);
    const again = await open(memoryDisk(files));
    for (let at = 0; at < 2_000; at += 20) await Promise.all(some('trend', 20, 400 + at).map((one) => again.append(one)));
    expect(account([...all, ...some('trend', 2_000, 400)], [], [...before, ...(await drain(again))]).wrong).toEqual([]);
  });
});
