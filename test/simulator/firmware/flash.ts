// What survives a power cut. A device writes by three calls only, and what it wrote is certain after `sync` and not before.
import { closeSync, existsSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export type Flash = {
  /** Empty for a file that is not there. */
  read(file: string): Buffer;
  write(file: string, at: number, bytes: Uint8Array): void;
  /** Cuts the file off. */
  truncate(file: string, length: number): void;
  sync(file: string): void;
};

/** Thrown by `write` when there is no room. */
export class NoSpace extends Error {
  override readonly name = 'NoSpace';
}

export type Operation =
  | { does: 'write'; file: string; at: number; bytes: Buffer }
  | { does: 'truncate'; file: string; length: number }
  | { does: 'sync'; file: string };

/** A directory, with fsync. */
export function directoryFlash(directory: string): Flash {
  mkdirSync(directory, { recursive: true });
  const into = (file: string, act: (fd: number) => void): void => {
    const path = join(directory, file);
    const fd = openSync(path, existsSync(path) ? 'r+' : 'w+');
    try {
      act(fd);
    } finally {
      closeSync(fd);
    }
  };
  return {
    read: (file) => (existsSync(join(directory, file)) ? readFileSync(join(directory, file)) : Buffer.alloc(0)),
    write: (file, at, bytes) => into(file, (fd) => void writeSync(fd, bytes, 0, bytes.length, at)),
    truncate: (file, length) => into(file, (fd) => ftruncateSync(fd, length)),
    sync: (file) => into(file, fsyncSync),
  };
}

/** The same in memory. */
export function memoryFlash(files: Map<string, Buffer> = new Map()): Flash & { files: Map<string, Buffer> } {
  const of = (file: string): Buffer => files.get(file) ?? Buffer.alloc(0);
  return {
    files,
    read: (file) => Buffer.from(of(file)),
    write(file, at, bytes) {
      const grown = Buffer.alloc(Math.max(of(file).length, at + bytes.length));
      of(file).copy(grown);
      grown.set(bytes, at);
      files.set(file, grown);
    },
    truncate: (file, length) => void files.set(file, Buffer.from(of(file).subarray(0, length))),
    sync: () => {},
  };
}

/** Passes on and writes down what was done. */
export function recording(flash: Flash): Flash & { log: Operation[] } {
  const log: Operation[] = [];
  return {
    log,
    read: (file) => flash.read(file),
    write(file, at, bytes) {
      log.push({ does: 'write', file, at, bytes: Buffer.from(bytes) });
      flash.write(file, at, bytes);
    },
    truncate(file, length) {
      log.push({ does: 'truncate', file, length });
      flash.truncate(file, length);
    },
    sync(file) {
      log.push({ does: 'sync', file });
      flash.sync(file);
    },
  };
}

/** How much of what was not synced the cut took: nothing, everything, or the last write went in by so many bytes. */
export type Cut = 'all written' | 'unsynced lost' | { torn: number } | { garbage: number };

/** The memory of a device whose power went after the first `count` operations. */
export function afterCut(start: ReadonlyMap<string, Buffer>, log: readonly Operation[], count: number, cut: Cut): Map<string, Buffer> {
  const done = log.slice(0, count);
  const flash = memoryFlash(new Map([...start].map(([file, bytes]) => [file, Buffer.from(bytes)])));
  const lastSync = (file: string): number => done.findLastIndex((one) => one.does === 'sync' && one.file === file);
  for (const [index, one] of done.entries()) {
    const isLost = cut === 'unsynced lost' && index > lastSync(one.file);
    if (one.does === 'sync' || isLost) continue;
    if (one.does === 'truncate') flash.truncate(one.file, one.length);
    else flash.write(one.file, one.at, index === count - 1 ? partOf(one.bytes, cut) : one.bytes);
  }
  return flash.files;
}

function partOf(bytes: Buffer, cut: Cut): Buffer {
  if (typeof cut === 'string') return bytes;
  if ('torn' in cut) return bytes.subarray(0, cut.torn);
  // The rest of the page is what a cell is when its writing was broken off.
  return Buffer.concat([bytes.subarray(0, cut.garbage), Buffer.alloc(Math.max(0, bytes.length - cut.garbage), 0xa5)]);
}
