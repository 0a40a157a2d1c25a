// Files by digest on a disk with a bound in bytes. DIR/sha256/<hex> is whole, DIR/partial/<hex> is being fetched: only a rename of what was hashed and synced makes the
// one out of the other, so a process or a machine that dies leaves nothing half. What an earlier process left is hashed once before it counts.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, truncate, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';

/** A whole file while it is read: it is not deleted before `done`. */
export type Lease = { path: string; size: number; done(): void };

/** Room for one file that is being fetched. `done` gives the rest of it back; what came stays, to go on from there. */
export type Room = {
  path: string;
  /** Bytes that are there already, from an earlier try. */
  begun: number;
  /** All bytes are there and their digest is right: synced, renamed, synced. */
  keep(): Promise<void>;
  /** Nothing of it is worth anything. */
  empty(): Promise<void>;
  done(): Promise<void>;
};

export interface Cache {
  /** Hashed and whole. */
  has(hex: string): boolean;
  /** Undefined when it is not here, or not hashed yet. */
  lease(hex: string): Lease | undefined;
  /** Hashes a file of this name that an earlier process, or a person, has left; deletes it when it is another. True when it is here and right. */
  check(hex: string): Promise<boolean>;
  /** Somebody else has deleted it. */
  forget(hex: string): void;
  /** Deletes what was not used for the longest time, as far as `mayGo`; undefined when that is not enough. */
  room(hex: string, size: number, mayGo: (hex: string) => boolean): Promise<Room | undefined>;
  readonly usedBytes: number;
}

type Whole = { size: number; usedAtMs: number; readers: number };
type Part = { bytes: number; reserved: number; usedAtMs: number };
export type CacheDeps = { directory: string; mostBytes: number; clock: Clock; log: Log; evicted(): void };

const HEX = /^[0-9a-f]{64}$/;
/** How often the time of use is written down, for the next process. */
const TOUCH_EVERY_MS = 60_000;

/** Rejects when the directory cannot be made or read. */
export async function openCache({ directory, mostBytes, clock, log, evicted }: CacheDeps): Promise<Cache> {
  const places = { whole: join(directory, 'sha256'), part: join(directory, 'partial') };
  for (const place of Object.values(places)) await mkdir(place, { recursive: true, mode: 0o700 });
  const left = await filesIn(places.whole);
  /** Of an earlier process, not hashed yet: they take room and give nothing. */
  const unchecked = new Map(left.map(({ name, size, usedAtMs }): [string, Whole] => [name, { size, usedAtMs, readers: 0 }]));
  const whole = new Map<string, Whole>();
  const parts = new Map(
    (await filesIn(places.part)).map(({ name, size, usedAtMs }): [string, Part] => [name, { bytes: size, reserved: 0, usedAtMs }]),
  );
  await shrink(mostBytes, () => true);

  function used(): number {
    let bytes = 0;
    for (const one of [...whole.values(), ...unchecked.values()]) bytes += one.size;
    for (const part of parts.values()) bytes += Math.max(part.bytes, part.reserved);
    return bytes;
  }

  /** Deletes until at most `most` bytes are in use; false when it may not delete so much, and then it deletes nothing. */
  async function shrink(most: number, mayGo: (hex: string) => boolean): Promise<boolean> {
    // Half files first: a whole one is worth more.
    const candidates = [
      ...sorted(
        [...parts]
          .filter(([hex, part]) => part.reserved === 0 && mayGo(hex))
          .map(([hex, part]) => ({ hex, size: part.bytes, ...part, of: parts, place: places.part })),
      ),
      ...sorted(
        [...unchecked]
          .filter(([hex, one]) => one.readers === 0 && mayGo(hex))
          .map(([hex, one]) => ({ hex, ...one, of: unchecked, place: places.whole })),
      ),
      ...sorted(
        [...whole]
          .filter(([hex, one]) => one.readers === 0 && mayGo(hex))
          .map(([hex, one]) => ({ hex, ...one, of: whole, place: places.whole })),
      ),
    ];
    const going: typeof candidates = [];
    for (let bytes = used(); bytes > most; ) {
      const next = candidates.shift();
      if (next === undefined) return false;
      going.push(next);
      bytes -= next.size;
    }
    // All at once and before anything is awaited: nobody is given what goes.
    for (const { hex, of } of going) of.delete(hex);
    for (const { hex, place } of going) {
      await rm(join(place, hex), { force: true });
      evicted();
      log.info({ digest: hex }, 'a file left the cache');
    }
    return true;
  }

  function lease(hex: string): Lease | undefined {
    const one = whole.get(hex);
    if (one === undefined) return undefined;
    const path = join(places.whole, hex);
    const now = clock.now();
    if (now - one.usedAtMs > TOUCH_EVERY_MS) utimes(path, now / 1000, now / 1000).catch(() => undefined);
    one.usedAtMs = now;
    one.readers += 1;
    let over = false;
    return {
      path,
      size: one.size,
      done() {
        if (!over) one.readers -= 1;
        over = true;
      },
    };
  }

  async function check(hex: string): Promise<boolean> {
    if (whole.has(hex)) return true;
    const path = join(places.whole, hex);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || !found.isFile()) return false;
    // As long as it is hashed it does not go.
    unchecked.set(hex, { size: found.size, usedAtMs: found.mtimeMs, readers: 1 });
    const right = await sha256Of(path).then(
      (found) => found === hex,
      () => false,
    );
    unchecked.delete(hex);
    if (!right) {
      log.warn({ digest: hex }, 'a file of the cache does not have its digest, and is deleted');
      await rm(path, { force: true });
      return false;
    }
    whole.set(hex, { size: found.size, usedAtMs: found.mtimeMs, readers: 0 });
    await shrink(mostBytes, () => true);
    return whole.has(hex);
  }

  async function room(hex: string, size: number, mayGo: (hex: string) => boolean): Promise<Room | undefined> {
    const before = parts.get(hex);
    // What is there of it is part of the room, whatever becomes of the other files.
    const part: Part = { bytes: before?.bytes ?? 0, reserved: size, usedAtMs: clock.now() };
    parts.set(hex, part);
    if (!(await shrink(mostBytes, (other) => other !== hex && mayGo(other)))) {
      if (before === undefined) parts.delete(hex);
      else parts.set(hex, before);
      return undefined;
    }
    const path = join(places.part, hex);
    if (part.bytes > size) await truncate(path, 0);
    return {
      path,
      begun: part.bytes > size ? 0 : part.bytes,
      async keep() {
        await synced(path, 'r+');
        await rename(path, join(places.whole, hex));
        await synced(places.whole, 'r');
        parts.delete(hex);
        whole.set(hex, { size, usedAtMs: clock.now(), readers: 0 });
      },
      async empty() {
        await rm(path, { force: true });
        part.bytes = 0;
      },
      async done() {
        if (parts.get(hex) !== part) return;
        part.bytes = await stat(path).then(
          (found) => found.size,
          () => 0,
        );
        part.reserved = 0;
        if (part.bytes === 0) parts.delete(hex);
      },
    };
  }

  return {
    has: (hex) => whole.has(hex),
    lease,
    check,
    forget: (hex) => void whole.delete(hex),
    room,
    get usedBytes() {
      return used();
    },
  };
}

const sorted = <T extends { usedAtMs: number }>(all: T[]): T[] => all.sort((a, b) => a.usedAtMs - b.usedAtMs);

/** Names that are no digest are somebody else's, and left alone. */
async function filesIn(place: string): Promise<{ name: string; size: number; usedAtMs: number }[]> {
  const names = (await readdir(place)).filter((name) => HEX.test(name));
  return await Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(place, name));
      return { name, size, usedAtMs: mtimeMs };
    }),
  );
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path, { highWaterMark: 1_048_576 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

/** A directory too: without that a rename may not survive a power cut. */
async function synced(path: string, flags: 'r' | 'r+'): Promise<void> {
  const handle: FileHandle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
