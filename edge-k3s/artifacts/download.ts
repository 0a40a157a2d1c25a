// One file from one source into its room: from where it was left, never more bytes than its size, and kept only with its digest.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Room } from './cache.ts';
import { Refused } from './errors.ts';
import { dismiss, reasonOf } from './origin-http.ts';
import { type Pace, watchPace } from './pace.ts';
import type { Source } from './reference.ts';
import type { Registry, Wanted } from './registry.ts';

export type DownloadDeps = { registry: Registry; clock: Clock; received(bytes: number): void; pace?: Pace };

/** A registry behind the slowest line that a site may have. */
const PACE: Pace = { everyMs: 60_000, leastBytes: 65_536 };

/** Resolves when the file is in the cache. Rejects with `Refused` HR-FW-410 to 421, or with the signal's reason; what came stays where it may be right. */
export async function download(room: Room, wanted: Wanted, source: Source, deps: DownloadDeps, signal: AbortSignal): Promise<void> {
  try {
    await attempt(room, room.begun, wanted, source, deps, signal);
  } catch (error) {
    // What an earlier try has left may be of other bytes: once more without it.
    if (!(error instanceof Refused) || room.begun === 0 || !['HR-FW-413', 'HR-FW-414'].includes(error.problem.code)) throw error;
    await attempt(room, 0, wanted, source, deps, signal);
  }
}

async function attempt(room: Room, begun: number, wanted: Wanted, source: Source, deps: DownloadDeps, signal: AbortSignal): Promise<void> {
  // A whole one that was not renamed yet is asked for nowhere.
  if (begun < wanted.size) await fetchRest(room, begun, wanted, source, deps, signal);
  const hash = await hashed(room.path, wanted.size);
  if (hash.digest('hex') !== wanted.hex) {
    await room.empty();
    throw new Refused('HR-FW-413', `${source.registry} gave other bytes than those of sha256:${wanted.hex}`);
  }
  await onDisk(() => room.keep());
}

async function fetchRest(
  room: Room,
  begun: number,
  wanted: Wanted,
  source: Source,
  deps: DownloadDeps,
  signal: AbortSignal,
): Promise<void> {
  const { from, body } = await deps.registry.open(source, wanted, begun, signal);
  let at = from;
  const slow = new Refused('HR-FW-410', `${source.registry} is too slow`);
  const pace = watchPace(
    deps.clock,
    deps.pace ?? PACE,
    () => at,
    () => body.destroy(slow),
  );
  const file = await onDisk(() => open(room.path, begun > 0 ? 'r+' : 'w'));
  try {
    if (from === 0) await onDisk(() => file.truncate(0));
    for await (const piece of body as AsyncIterable<Buffer>) {
      if (at + piece.length > wanted.size) throw tooLong(source, wanted);
      await onDisk(() => written(file, piece, at));
      at += piece.length;
      deps.received(piece.length);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Refused) {
      if (error.problem.code === 'HR-FW-414') await room.empty();
      throw error;
    }
    throw new Refused('HR-FW-410', `${source.registry} broke off after ${at} of ${wanted.size} bytes: ${reasonOf(error)}`);
  } finally {
    pace.cancel();
    dismiss(body);
    await file.close();
  }
  if (at < wanted.size) throw new Refused('HR-FW-410', `${source.registry} ended after ${at} of ${wanted.size} bytes`);
}

const tooLong = ({ registry }: Source, { size }: Wanted): Refused => new Refused('HR-FW-414', `${registry} gives more than ${size} bytes`);

async function written(file: FileHandle, piece: Buffer, at: number): Promise<void> {
  for (let done = 0; done < piece.length; ) done += (await file.write(piece, done, piece.length - done, at + done)).bytesWritten;
}

/** From the disk, not from what came: what is there is what will be served. */
async function hashed(path: string, size: number): Promise<Hash> {
  const hash = createHash('sha256');
  let seen = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1_048_576 })) {
    hash.update(piece as Buffer);
    seen += (piece as Buffer).length;
  }
  if (seen !== size) throw new Refused('HR-FW-414', `${seen} of ${size} bytes are there`);
  return hash;
}

async function onDisk<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new Refused('HR-FW-421', error instanceof Error && 'code' in error ? String(error.code) : 'the disk failed');
  }
}
