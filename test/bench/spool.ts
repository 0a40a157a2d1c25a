// Records a second that the spool acknowledges, on the disk of this machine. The floor writes the same bytes in the same batches to one file, each with fdatasync:
// what no store with a certain answer can do without.
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectory } from '../../edge-k3s/gateway/spool/disk.ts';
import { type Entry, encode } from '../../edge-k3s/gateway/spool/record.ts';
import { openSpool } from '../../edge-k3s/gateway/spool/spool.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { type Bench, percentile } from './figure.ts';

const RECORDS = 50_000;
const ROUNDS = 5;
/** As many as the spool waits for. */
const BATCH = 100;
const REFERENCE = 'write and fdatasync of the same batches, nothing else';
const START_MS = Date.parse('2026-11-01T00:00:00Z');

export const spoolBench: Bench = {
  name: 'spool',
  about: `records of 220 bytes that are acknowledged, ${BATCH} a commit, and read back; beside plain write and fdatasync`,
  async *run({ n = RECORDS, rounds = ROUNDS, progress }) {
    const runs: { spool: number; floor: number; read: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const directory = await mkdtemp(join(tmpdir(), 'hedgerow-spool-'));
      try {
        const floor = await floorOf(join(directory, 'floor'), n);
        runs.push({ floor, ...(await spoolOf(join(directory, 'spool'), n)) });
      } finally {
        await rm(directory, { recursive: true });
      }
      const last = runs.at(-1);
      progress(`round ${round + 1}: spool ${Math.round(last?.spool ?? 0)}/s, floor ${Math.round(last?.floor ?? 0)}/s`);
    }
    const median = (of: (run: (typeof runs)[number]) => number): number =>
      percentile(
        runs.map(of).sort((a, b) => a - b),
        50,
      );
    const common = { unit: 'records/s', n };
    yield {
      figure: 'append',
      value: median(({ spool }) => spool),
      ...common,
      reference: REFERENCE,
      referenceValue: median(({ floor }) => floor),
    };
    yield { figure: 'take', value: median(({ read }) => read), ...common };
  },
};

const entryOf = (n: number): Entry => ({
  ...{ class: 'alert', key: `berlin/alert/stream-${n % 1_000}/${n}`, subject: `stream-${n % 1_000}`, device: `thermo-${n % 1_000}.berlin` },
  ...{ fromMs: START_MS + n, toMs: START_MS + n + 1, revision: 0, payload: Buffer.alloc(100, n % 256) },
});

async function floorOf(path: string, n: number): Promise<number> {
  const batches = Array.from({ length: Math.ceil(n / BATCH) }, (_, at) =>
    Buffer.concat(Array.from({ length: BATCH }, (_, more) => encode({ ...entryOf(at * BATCH + more), seq: 1, place: 0, lost: 0 }, 0))),
  );
  const file = await open(path, 'a');
  const startedAt = performance.now();
  for (const batch of batches) {
    await file.appendFile(batch);
    await file.datasync();
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await file.close();
  return n / seconds;
}

async function spoolOf(directory: string, n: number): Promise<{ spool: number; read: number }> {
  const coarsening = { widthsMs: [], settleMs: 0, merge: (parts: readonly Uint8Array[]) => Buffer.concat(parts) };
  const options = { maxBytes: 256 * 1024 ** 2, consumers: ['cloud'], clock: systemClock, random: systemRandom, coarsening };
  const spool = await openSpool({ disk: await openDirectory(directory), ...options });
  const startedAt = performance.now();
  for (let at = 0; at < n; at += BATCH)
    await Promise.all(Array.from({ length: Math.min(BATCH, n - at) }, (_, more) => spool.append(entryOf(at + more))));
  const written = performance.now();
  let count = 0;
  for (;;) {
    const taken = await spool.take('cloud', 500);
    if (taken.length === 0) break;
    spool.acknowledge('cloud', taken);
    count += taken.length;
  }
  const read = performance.now();
  await spool.close();
  if (count !== n) throw new Error(`${count} of ${n} records came back`);
  return { spool: (n * 1_000) / (written - startedAt), read: (n * 1_000) / (read - written) };
}
