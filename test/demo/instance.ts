// A running demo, as another terminal finds it: one file with its process id in the folder of its name.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attachCluster } from '../controlplane/cluster.ts';
import { clusterDir } from '../controlplane/layout.ts';
import { type Handle, handleOn, isAlive, stop } from '../controlplane/process.ts';
import { Trouble } from './trouble.ts';

/** Beside the clusters' folders, so that a cluster that is set up anew does not remove it. */
const fileOf = (name: string): string => join(clusterDir(name), '..', '..', 'demos', `${name}.json`);

/** Longer than the demo itself takes to clean up. */
const GRACE_MS = 40_000;

/** Takes the name; refuses when a demo of this name runs, or a cluster that is not a demo's. */
export async function takeName(name: string): Promise<void> {
  const other = running(name);
  if (other !== undefined)
    throw new Trouble(`a demo "${name}" is running already (process ${other.pid})`, {
      cure: `end it with: npm run demo -- ${name === 'demo' ? '' : `--name ${name} `}--stop; or give this one another name: --name NAME`,
    });
  if ((await attachCluster(name)) !== undefined)
    throw new Trouble(`a cluster "${name}" is running that is no demo's`, {
      cure: `give the demo another name (--name NAME), or end that cluster: npm run cluster -- down --name ${name}`,
    });
  const file = fileOf(name);
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
  writeFileSync(file, JSON.stringify(handleOn(process.pid)));
}

export function releaseName(name: string): void {
  rmSync(fileOf(name), { force: true });
}

/** Ends a demo from another terminal, as Ctrl-C would. Gives what came of it. */
export async function stopDemo(name: string): Promise<string> {
  const other = running(name);
  if (other === undefined)
    return (await removeLeftovers(name)) ? `the demo "${name}" had been killed; what it left is removed` : `no demo "${name}" is running`;
  await stop(other, GRACE_MS);
  releaseName(name);
  return `the demo "${name}" has ended`;
}

/** Of a demo that was killed with -9: its processes died with it, its folder did not. */
async function removeLeftovers(name: string): Promise<boolean> {
  if (!existsSync(fileOf(name))) return false;
  await (await attachCluster(name))?.down();
  rmSync(clusterDir(name), { recursive: true, force: true });
  releaseName(name);
  return true;
}

function running(name: string): Handle | undefined {
  try {
    const handle = JSON.parse(readFileSync(fileOf(name), 'utf8')) as Handle;
    return isAlive(handle) ? handle : undefined;
  } catch {
    return undefined;
  }
}
