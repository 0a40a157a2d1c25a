import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDirectory } from './disk.ts';
import { drain, entry, open } from './testing/world.ts';

describe('a spool in a directory', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hedgerow-spool-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('is there after a restart, is rewritten, erased and emptied like the one in memory', async () => {
    const first = await open(await openDirectory(directory));
    for (let at = 0; at < 600; at += 30) await Promise.all(Array.from({ length: 30 }, (_, n) => first.append(entry('alert', at + n))));
    const taken = await first.take('cloud', 10);
    first.acknowledge('cloud', taken);
    await first.close();
    const second = await open(await openDirectory(directory));
    expect(await second.erase('d-3.berlin')).toBeGreaterThan(3);
    const got = [...taken, ...(await drain(second))];
    const lost = got.reduce((sum, one) => sum + one.lost, 0);
    expect(lost).toBeGreaterThan(0);
    expect(new Set(got.map(({ key }) => key)).size).toBe(got.length);
    await second.close();
    expect(await readdir(directory)).toEqual(['cursor.cloud']);
  });
});
