// The folder that an import writes: a manifest a device, each complete or not there at all. What is there is all that a second run knows of the first.
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { CliError, explain } from './errors.ts';
import type { ReadBeside } from './import-row.ts';

/** As kubectl reads it: YAML 1.1, where a bare `yes`, `on` or `1.3` is no text. */
export function manifestText(manifest: object): string {
  return stringify(manifest, { version: '1.1', lineWidth: 0 });
}

export type Written = 'new' | 'there' | { problem: string };

export async function makeFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw new CliError('HR-CLI-044', `${dir} (${error.code ?? 'unknown'})`);
  });
}

/** What is there and says the same stays as it is; what says something else only goes if that is wanted. `write` false: only look. */
export async function writeManifest(dir: string, name: string, text: string, how: { replace: boolean; write: boolean }): Promise<Written> {
  const path = join(dir, `${name}.yaml`);
  const there = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new CliError('HR-CLI-004', `${path} (${error.code ?? 'unknown'})`);
  });
  if (there === text) return 'there';
  if (there !== undefined && !how.replace) return { problem: explain('HR-CLI-055', path) };
  if (how.write) await writeWhole(path, text);
  return 'new';
}

/** Under another name first: whoever is killed in the middle leaves no half of a file. */
export async function writeWhole(path: string, text: string, mode = 0o644): Promise<void> {
  const half = `${path}.part`;
  try {
    const file = await open(half, 'w', mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(half, path);
  } catch (error) {
    throw new CliError('HR-CLI-044', `${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

const MOST_BYTES = 16_384;

/** Files of a folder, by plain names: a CSV that somebody sent may name what it likes. */
export function readBeside(dir: string): ReadBeside {
  return async (name) => {
    const refusal = (why: string): { problem: string } => ({ problem: explain('HR-CLI-054', why) });
    if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$/.test(name))
      return refusal('the name of the file is not plain: letters, digits, dots, - and _');
    const path = join(dir, name);
    try {
      const file = await open(path, 'r');
      try {
        const about = await file.stat();
        if (!about.isFile() || about.size > MOST_BYTES) return refusal(`${path} is ${about.isFile() ? 'too large' : 'no file'}`);
        return await file.readFile('utf8');
      } finally {
        await file.close();
      }
    } catch (error) {
      return refusal(`${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
  };
}
