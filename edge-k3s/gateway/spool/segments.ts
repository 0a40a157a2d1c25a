// The files of one class: what is known of each, how one is read, and how a few become one.
import type { Disk } from './disk.ts';
import { type Class, fileOf } from './layout.ts';
import { encode, type Scan, type Stored, scan } from './record.ts';
import { lossRecord, type StandingOf } from './shrink.ts';

export type Segment = {
  file: string;
  first: number;
  /** The last number that it stands for. */
  last: number;
  bytes: number;
  /** How far its records were merged already. */
  mark: number;
  /** For each consumer, how many of its records are not acknowledged. */
  left: number[];
  fromMs: number;
  toMs: number;
};

export type Segments = {
  class: Class;
  disk: Disk;
  salt: number;
  /** In order; the last one may still grow. */
  list: Segment[];
  growing: Segment | undefined;
  last: number;
  consumers: number;
  isAcked(consumer: number, seq: number): boolean;
  standing: StandingOf;
  /** Records that are in no file any more. */
  gone(seqs: readonly number[]): void;
  /** What is on disk is not what is known: nothing more is done until it was read again. */
  isUncertain: boolean;
  cache: { file: string; bytes: number; records: readonly Stored[] } | undefined;
};

export const bytesOf = ({ list }: Segments): number => list.reduce((sum, { bytes }) => sum + bytes, 0);

/** What it has, with a record of loss for what is damaged: always the same ones, so that they have numbers and keys like others. */
export async function load(of: Segments, segment: Segment): Promise<readonly Stored[]> {
  const { cache } = of;
  if (cache?.file === segment.file && cache.bytes === segment.bytes) return cache.records;
  const bytes = await of.disk.read(segment.file).catch(() => undefined);
  const found = bytes === undefined ? { records: [], holes: [{ at: 0, end: segment.bytes }] } : scan(bytes, of.class, of.salt);
  const records = withLosses(of, segment, found);
  of.cache = { file: segment.file, bytes: segment.bytes, records };
  if (found.holes.length > 0) recount(of, segment, records);
  return records;
}

export function withLosses(of: Segments, segment: Segment, { records, holes }: Scan): Stored[] {
  const losses = holes.flatMap(({ at, end }) => {
    const before = records.findLast((one) => one.end <= at);
    const after = records.find((one) => one.at >= end);
    const [previous, next] = [before?.seq ?? segment.first - 1, after?.seq ?? segment.last + 1];
    const near = [before, after].filter((one) => one !== undefined);
    const span = near.length === 0 ? segment : spanOf(near);
    const loss = { class: of.class, reason: 'damage', salt: of.salt, seq: next - 1, lost: next - previous - 1 } as const;
    return next - previous <= 1 ? [] : [lossRecord({ ...loss, fromMs: span.fromMs, toMs: span.toMs })];
  });
  return losses.length === 0 ? [...records] : [...records, ...losses].sort((a, b) => a.seq - b.seq);
}

export function encodeAll(of: Segments, records: readonly Stored[]): Buffer {
  return Buffer.concat(records.map((one) => encode(one, of.salt)));
}

/** The files of the run become one with these records. It appears whole, and then they go: see `inForce`. */
export async function rewrite(of: Segments, run: readonly Segment[], records: readonly Stored[], mark: number): Promise<void> {
  const [first, last] = [run[0]?.first, run.at(-1)?.last];
  if (first === undefined || last === undefined) return;
  const gone = new Set<number>();
  for (const one of run) for (const { seq } of await load(of, one)) gone.add(seq);
  for (const { seq } of records) gone.delete(seq);
  const file = fileOf({ class: of.class, first, last, salt: of.salt });
  const bytes = encodeAll(of, records);
  if (records.length > 0) await prepare(of.disk, `${file}.new`, bytes);
  const made: Segment = { file, first, last, bytes: bytes.length, mark, ...spanOf(records), left: [] };
  of.list = [...of.list.filter((one) => !run.includes(one)), ...(records.length > 0 ? [made] : [])].sort((a, b) => a.first - b.first);
  recount(of, made, records);
  of.gone([...gone]);
  of.cache = undefined;
  const over = run.filter((one) => one.file !== file || records.length === 0);
  await certainly(of, async () => {
    if (records.length > 0) {
      await of.disk.rename(`${file}.new`, file);
      await of.disk.syncNames();
    }
    for (const one of over) await of.disk.remove(one.file);
    if (over.length > 0) await of.disk.syncNames();
  });
}

async function prepare(disk: Disk, file: string, bytes: Uint8Array): Promise<void> {
  try {
    await disk.append(file, bytes);
    await disk.sync(file);
  } catch (error) {
    await disk.remove(file).catch(() => undefined);
    throw error;
  }
}

/** Names come and go: where that fails half-way, only reading the directory again says what is in force. */
export async function certainly(of: Segments, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    of.isUncertain = true;
    throw error;
  }
}

export function recount(of: Segments, segment: Segment, records: readonly Stored[]): void {
  segment.left = Array.from({ length: of.consumers }, (_, consumer) => records.filter(({ seq }) => !of.isAcked(consumer, seq)).length);
}

export function spanOf(records: readonly { fromMs: number; toMs: number }[]): { fromMs: number; toMs: number } {
  return {
    fromMs: records.reduce((least, one) => Math.min(least, one.fromMs), Number.MAX_VALUE),
    toMs: records.reduce((most, one) => Math.max(most, one.toMs), -Number.MAX_VALUE),
  };
}
