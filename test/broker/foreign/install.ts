/** Clients that this project did not write: mosquitto's from Debian, paho from PyPI, installed where they are missing. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureDebianPackages, findCommand } from '../../../scripts/bootstrap/debian.ts';
import { cacheRoot } from '../../controlplane/cache.ts';
import { withLock } from '../../controlplane/lock.ts';

/** The path of the program, or the reason why it cannot be had here. */
export type Installed = { path: string } | { missing: string };

export async function installMosquitto(): Promise<Installed> {
  try {
    await ensureDebianPackages([{ package: 'mosquitto-clients', command: 'mosquitto_sub' }], console.log);
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
  return { path: findCommand('mosquitto_sub') ?? '' };
}

const PAHO = '2.1.0';

/** A Python with paho-mqtt, in a virtual environment outside the tree. */
export async function installPaho(): Promise<Installed> {
  const python = findCommand('python3');
  if (python === undefined) return { missing: 'paho-mqtt needs python3, which is not here' };
  const dir = join(cacheRoot(), `paho-mqtt-${PAHO}`);
  mkdirSync(cacheRoot(), { recursive: true });
  const waiting = () => console.log('another run is installing paho-mqtt: waiting for it');
  return withLock(`${dir}.lock`, { waiting }, async () => makeVenv(python, dir));
}

function makeVenv(python: string, dir: string): Installed {
  const path = join(dir, 'bin', 'python');
  const complete = join(dir, 'complete');
  if (existsSync(complete)) return { path };
  rmSync(dir, { recursive: true, force: true });
  console.log(`installing paho-mqtt ${PAHO} from PyPI into ${dir}`);
  const steps: [string, string[]][] = [
    [python, ['-m', 'venv', dir]],
    [path, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `paho-mqtt==${PAHO}`]],
    [path, ['-c', `import paho.mqtt.client; open(${JSON.stringify(complete)}, "w").close()`]],
  ];
  for (const [command, args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0)
      return { missing: `paho-mqtt could not be installed: ${args.slice(0, 3).join(' ')}: ${stderr.trim().split('\n').at(-1)}` };
  }
  return { path };
}
