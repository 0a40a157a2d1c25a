// Generated files against the tree: what differs, and writing it. A folder that holds generated files only is cleared of files that are not made any more.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Path from the root of the tree → text. */
export type Files = ReadonlyMap<string, string>;

export type Difference = { file: string; why: 'missing' | 'differs' | 'left over' };

/** `owned`: folders whose `.yaml` files are all generated. */
export function differences(root: string, files: Files, owned: readonly string[]): Difference[] {
  const wrong = [...files].flatMap(([file, text]): Difference[] => {
    const path = join(root, file);
    if (!existsSync(path)) return [{ file, why: 'missing' }];
    return readFileSync(path, 'utf8') === text ? [] : [{ file, why: 'differs' }];
  });
  const leftOver = owned
    .flatMap((folder) => yamlIn(root, folder))
    .filter((file) => !files.has(file))
    .map((file): Difference => ({ file, why: 'left over' }));
  return [...wrong, ...leftOver].sort((a, b) => (a.file < b.file ? -1 : 1));
}

export function repair(root: string, files: Files, found: readonly Difference[]): void {
  for (const { file, why } of found) {
    const path = join(root, file);
    if (why === 'left over') rmSync(path);
    else {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, files.get(file) ?? '');
    }
  }
}

function yamlIn(root: string, folder: string): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => `${folder}/${name}`);
}
