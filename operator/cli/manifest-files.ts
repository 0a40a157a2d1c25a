// The manifests below a directory or of a file, as objects. Hostile files are the normal case: each has a bound, and what does not read is named.
import { type Dirent, promises as fs } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from '../reach/reach.ts';
import { CliError } from './errors.ts';

export type Manifests = { manifests: Manifest[]; unreadable: string[] };

const MAX_BYTES = 64 * 1024 * 1024;
const NAMES = /\.(ya?ml|json)$/i;

/** Files ending in .yaml, .yml and .json at any depth, but for hidden folders and node_modules; links are not followed. Or one file. Throws HR-CLI-004 when there is none of both. */
export async function readManifests(path: string): Promise<Manifests> {
  const found: Manifests = { manifests: [], unreadable: [] };
  const single = await isFile(path);
  for (const file of single ? [path] : (await filesBelow(path)).sort()) {
    const source = single ? basename(file) : relative(path, file);
    try {
      const { size } = await fs.stat(file);
      if (size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES / 1024 / 1024} MiB`);
      for (const object of objectsIn(await fs.readFile(file, 'utf8'))) found.manifests.push({ source, object });
    } catch (error) {
      found.unreadable.push(`${source}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`);
    }
  }
  return found;
}

const isFile = async (path: string): Promise<boolean> => (await fs.stat(path).catch(() => undefined))?.isFile() ?? false;

async function filesBelow(directory: string): Promise<string[]> {
  let entries: Dirent[];
  try {
    entries = await fs.readdir(directory, { withFileTypes: true });
  } catch (error) {
    throw new CliError('HR-CLI-004', `${directory} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  const below = entries.map(async (entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return entry.name.startsWith('.') || entry.name === 'node_modules' ? [] : filesBelow(path);
    return entry.isFile() && NAMES.test(entry.name) ? [path] : [];
  });
  return (await Promise.all(below)).flat();
}

/** JSON is read as JSON, being much faster and not quite a part of YAML. */
function objectsIn(text: string): unknown[] {
  if (/^\s*[{[]/.test(text)) {
    try {
      return [JSON.parse(text)];
    } catch {
      // Several documents, or YAML's flow style.
    }
  }
  return parseAllDocuments(text).map((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw problem;
    return document.toJS() as unknown;
  });
}
