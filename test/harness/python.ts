// Python programs of others that tests hold ours to: each in a virtual environment of its own outside the tree, so that a fresh clone is quick too.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from '../../scripts/bootstrap/debian.ts';
import { cacheRoot } from '../controlplane/cache.ts';
import { withLock } from '../controlplane/lock.ts';

/** The path of the program, or the reason why it cannot be had here. */
export type Installed = { path: string } | { missing: string };

/** `name`: of the folder, with the version in it. `packages`: what pip is given after `install`. `proof`: Python that fails where it does not work. */
export async function installPython(name: string, packages: readonly string[], proof: string): Promise<Installed> {
  const python = findCommand('python3');
  if (python === undefined) return { missing: `${name} needs python3, which is not here` };
  const dir = join(cacheRoot(), name);
  mkdirSync(cacheRoot(), { recursive: true });
  const waiting = () => console.log(`another run is installing ${name}: waiting for it`);
  return withLock(`${dir}.lock`, { waiting }, async () => makeVenv(python, dir, { name, packages, proof }));
}

function makeVenv(
  python: string,
  dir: string,
  { name, packages, proof }: { name: string; packages: readonly string[]; proof: string },
): Installed {
  const path = join(dir, 'bin', 'python');
  const complete = join(dir, 'complete');
  if (existsSync(complete)) return { path };
  rmSync(dir, { recursive: true, force: true });
  console.log(`installing ${name} from PyPI into ${dir}`);
  const steps: [string, string[]][] = [
    [python, ['-m', 'venv', dir]],
    [path, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]],
    [path, ['-c', `${proof}\nopen(${JSON.stringify(complete)}, "w").close()`]],
  ];
  for (const [command, args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0)
      return { missing: `${name} could not be installed: ${args.slice(0, 3).join(' ')}: ${stderr?.trim().split('\n').at(-1)}` };
  }
  return { path };
}
