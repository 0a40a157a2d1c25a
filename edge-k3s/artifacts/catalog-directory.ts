// Catalogs as directories, for a site without an API server: DIR/<any name>/release.json, envelope.json, 1.root.json … A ConfigMap mounted as a volume looks the same.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';
import { readCatalog } from './catalog.ts';
import type { Catalogs } from './catalogs.ts';
import { Refused } from './errors.ts';

type Deps = { directory: string; catalogs: Catalogs; clock: Clock; log: Log };

const LOOK_EVERY_MS = 5_000;
/** A ConfigMap has at most 1 MiB. */
const MOST_FILE_BYTES = 1_048_576;
const MOST_FILES = 300;

export interface CatalogDirectory {
  /** Once. Rejects when the directory cannot be read. */
  look(): Promise<void>;
  /** Looks until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createCatalogDirectory({ directory, catalogs, clock, log }: Deps): CatalogDirectory {
  /** By name: how its files looked when it was last read. */
  const seen = new Map<string, string>();

  async function look(): Promise<void> {
    // `..data` and its kind are how a kubelet replaces all files at once.
    const names = (await readdir(directory)).filter((name) => !name.startsWith('.'));
    for (const gone of [...seen.keys()].filter((name) => !names.includes(name))) {
      seen.delete(gone);
      catalogs.remove(gone);
    }
    for (const name of names.sort()) await lookAt(name);
  }

  async function lookAt(name: string): Promise<void> {
    try {
      const files = await filesOf(join(directory, name));
      if (files === undefined) return;
      const looks = files.map((file) => file.looks).join('\n');
      if (seen.get(name) === looks) return;
      const read = await Promise.all(files.map(async ({ file, path }) => [file, await readFile(path)] as const));
      // Remembered also when it is wrong: said once, not every five seconds.
      seen.set(name, looks);
      catalogs.put(name, readCatalog(new Map(read)));
      log.info({ catalog: name }, 'a catalog is in force');
    } catch (err) {
      catalogs.remove(name);
      if (err instanceof Refused) log.warn({ catalog: name, ...err.problem }, 'a catalog does not read; nothing of it is served');
      else log.warn({ catalog: name, err }, 'a catalog cannot be read; it is looked at again');
    }
  }

  return {
    look,
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
        if (signal.aborted) return;
        await look().catch((err: unknown) => log.warn({ err }, 'the directory of catalogs cannot be read; what was read stays in force'));
      }
    },
  };
}

/** Undefined for what is no directory. */
async function filesOf(path: string): Promise<{ file: string; path: string; looks: string }[] | undefined> {
  if (!(await stat(path)).isDirectory()) return undefined;
  const names = (await readdir(path)).filter((file) => file.endsWith('.json') && !file.startsWith('.')).sort();
  if (names.length > MOST_FILES) throw new Refused('HR-FW-430', `it has more than ${MOST_FILES} files`);
  return await Promise.all(
    names.map(async (file) => {
      const { size, mtimeMs, ino } = await stat(join(path, file));
      if (size > MOST_FILE_BYTES) throw new Refused('HR-FW-430', `${file} has more than 1 MiB`);
      return { file, path: join(path, file), looks: `${file} ${size} ${mtimeMs} ${ino}` };
    }),
  );
}
