// The directory of a spool. What was written is certain after `sync` of the file, a name that came or went after `syncNames`, and not before.
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';

export interface Disk {
  list(): Promise<{ name: string; bytes: number }[]>;
  read(name: string): Promise<Buffer>;
  /** Makes the file when there is none. */
  append(name: string, bytes: Uint8Array): Promise<void>;
  truncate(name: string, length: number): Promise<void>;
  sync(name: string): Promise<void>;
  /** Replaces what has the name. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  syncNames(): Promise<void>;
  /** Nothing more is appended to it. */
  release(name: string): Promise<void>;
}

export async function openDirectory(directory: string): Promise<Disk> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = (name: string): string => join(directory, name);
  const held = new Map<string, FileHandle>();
  const handle = async (name: string): Promise<FileHandle> => {
    const made = held.get(name) ?? (await open(path(name), 'a', 0o600));
    held.set(name, made);
    return made;
  };
  const release = async (name: string): Promise<void> => {
    const one = held.get(name);
    held.delete(name);
    await one?.close();
  };
  return {
    async list() {
      const names = (await readdir(directory, { withFileTypes: true })).filter((one) => one.isFile()).map(({ name }) => name);
      return await Promise.all(names.map(async (name) => ({ name, bytes: (await stat(path(name))).size })));
    },
    read: (name) => readFile(path(name)),
    append: async (name, bytes) => await (await handle(name)).appendFile(bytes),
    truncate: (name, length) => truncate(path(name), length),
    sync: async (name) => await (await handle(name)).datasync(),
    async rename(from, to) {
      await release(from);
      await release(to);
      await rename(path(from), path(to));
    },
    async remove(name) {
      await release(name);
      await rm(path(name), { force: true });
    },
    async syncNames() {
      const names = await open(directory, 'r');
      try {
        await names.sync();
      } finally {
        await names.close();
      }
    },
    release,
  };
}
