// A real DuckDB file in a directory of its own.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Batch, openFile, openStore, type Row, type Store } from './store.ts';

const T0 = Date.parse('2026-11-26T12:00:00Z');
const row = (change: Partial<Row> = {}): Row => ({
  ...{ site: 'berlin', key: 'k1', rev: 0, type: 'Trend', segment: 'app.berlin', device: '', fromMs: T0, toMs: T0 + 60_000 },
  ...{ topic: 'agg/berlin/app.berlin/all/temperature', body: '{"n":5}' },
  ...change,
});
const batch = (rows: Row[], change: Partial<Batch> = {}): Batch => ({ rows, erased: [], refused: [], nowMs: T0, ...change });

let home: string;
let store: Store;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'hedgerow-cloud-'));
  store = await openStore(join(home, 'store.duckdb'));
});
afterEach(async () => {
  store.close();
  await rm(home, { recursive: true, force: true });
});

async function ask(sql: string): Promise<unknown[]> {
  const reader = await store.reader();
  try {
    return (await reader.runAndReadAll(sql)).getRowsJson();
  } finally {
    reader.closeSync();
  }
}

describe('a message', () => {
  it('that comes again changes nothing, in the same batch or in a later one', async () => {
    expect(await store.write(batch([row(), row({ body: '{"n":6}' })]))).toEqual({ taken: 1, stale: 0 });
    expect(await store.write(batch([row({ body: '{"n":7}' })]))).toEqual({ taken: 0, stale: 0 });
    expect(await ask('select body from message')).toEqual([['{"n":5}']]);
  });

  it('of a later revision takes the place of the one before; one of an earlier does not', async () => {
    await store.write(batch([row({ rev: 1, body: 'one' })]));
    expect((await store.write(batch([row({ rev: 3, body: 'three' }), row({ rev: 2, body: 'two' })]))).taken).toBe(1);
    expect((await store.write(batch([row({ rev: 0, body: 'none' })]))).taken).toBe(0);
    expect(await ask('select rev, body from message')).toEqual([['3', 'three']]);
  });

  it('with the key of another site is another message', async () => {
    await store.write(batch([row(), row({ site: 'paris' })]));
    expect(await ask('select count(*) from message')).toEqual([['2']]);
  });

  it('in whatever order and how often they come, the store has the last revision of each key', async () => {
    const one = fc.record({ site: fc.constantFrom('berlin', 'paris'), key: fc.constantFrom('a', 'b', 'c'), rev: fc.nat(5) });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(one, { maxLength: 8 }), { maxLength: 6 }), async (batches) => {
        round += 1;
        const last = new Map<string, number>();
        for (const each of batches) {
          await store.write(batch(each.map(({ site, key, rev }) => row({ site, key: `${round}/${key}`, rev, body: String(rev) }))));
          for (const { site, key, rev } of each) last.set(`${site} ${key}`, Math.max(rev, last.get(`${site} ${key}`) ?? 0));
        }
        const found = (await ask(`select site, key, rev, body from message where key like '${round}/%'`)) as [
          string,
          string,
          string,
          string,
        ][];
        expect(new Map(found.map(([site, key, rev]) => [`${site} ${key.split('/')[1]}`, Number(rev)]))).toEqual(last);
        expect(found.every(([, , rev, body]) => body === rev)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe('an erased device', () => {
  const alert = (key: string, change: Partial<Row> = {}): Row => row({ key, type: 'Alert', device: 'p-1', ...change });

  it('is in no message from before, of its site only; what comes late is counted and not kept', async () => {
    await store.write(batch([alert('a'), alert('b', { device: 'p-2' }), alert('c', { site: 'paris' })]));
    const erased = [{ site: 'berlin', device: 'p-1', beforeMs: T0 + 100_000 }];
    const written = await store.write(batch([alert('d'), row({ key: 'e', type: 'Erased', toMs: T0 + 100_000 })], { erased }));
    expect(written).toEqual({ taken: 1, stale: 1 });
    expect(await store.write(batch([alert('f')]))).toEqual({ taken: 0, stale: 1 });
    expect(await ask('select site, key from message order by all')).toEqual([
      ['berlin', 'b'],
      ['berlin', 'e'],
      ['paris', 'c'],
    ]);
    expect(await ask("select count from refusal where code = 'HR-CC-105'")).toEqual([['2']]);
  });

  it('whose name is used again afterwards is heard', async () => {
    await store.write(batch([], { erased: [{ site: 'berlin', device: 'p-1', beforeMs: T0 }] }));
    expect((await store.write(batch([alert('a', { toMs: T0 + 1 })]))).taken).toBe(1);
  });
});

describe('the file', () => {
  it('has what was written when it is opened again, and its sessions', async () => {
    await store.write(batch([row()], { refused: [{ site: 'berlin', code: 'HR-CC-102', count: 2 }] }));
    await store.rememberSession('consumer', T0);
    store.close();
    store = await openStore(join(home, 'store.duckdb'));
    await store.write(batch([row()], { refused: [{ site: 'berlin', code: 'HR-CC-102', count: 3 }] }));
    expect(await ask('select count from refusal')).toEqual([['5']]);
    expect(await ask('select count(*) from message')).toEqual([['1']]);
    expect([await store.hadSession('consumer'), await store.hadSession('another')]).toEqual([true, false]);
  });

  it('loses what ended before the time that is asked for', async () => {
    await store.write(batch([row(), row({ key: 'k2', toMs: T0 + 120_000 })]));
    await store.forget(T0 + 100_000);
    expect(await ask('select key from message')).toEqual([['k2']]);
  });

  it('of something else is refused, and stays as it is', async () => {
    await writeFile(join(home, 'other'), 'a letter to a friend, which is no database at all'.repeat(100));
    await expect(openStore(join(home, 'other'))).rejects.toThrow('HR-CC-201');
    const instance = await openFile(join(home, 'foreign.duckdb'), {});
    const connection = await instance.connect();
    await connection.run('create table cats (name varchar)');
    connection.closeSync();
    instance.closeSync();
    await expect(openStore(join(home, 'foreign.duckdb'))).rejects.toThrow('HR-CC-202');
  });

  it('that takes no more leaves nothing of a batch behind, and goes on afterwards', async () => {
    await expect(store.write(batch([row({ key: 'good' }), row({ key: 'bad', site: undefined as unknown as string })]))).rejects.toThrow(
      'HR-CC-201',
    );
    expect(await ask('select count(*) from message')).toEqual([['0']]);
    expect((await store.write(batch([row({ key: 'good' })]))).taken).toBe(1);
  });
});
