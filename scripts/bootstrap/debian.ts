// Programs that come as Debian packages, installed only where they are missing.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/** `command` is what the package is wanted for: a program on the PATH, or the full path of a file. Where it exists, nothing is installed, whatever it came from. */
export type DebianPackage = { package: string; command: string };

/** Installs what is missing. Throws one sentence with the cure where that is not possible. Says nothing when all is there. */
export async function ensureDebianPackages(wanted: readonly DebianPackage[], say: (line: string) => void): Promise<void> {
  const names = missing(wanted);
  if (names.length === 0) return;
  const list = names.join(' ');
  if (findCommand('apt-get') === undefined)
    throw new Error(`this needs ${list} (names of Debian packages), which are not here: install them with the machine's package manager`);
  if (process.getuid?.() !== 0)
    throw new Error(`this needs ${list}, which are not here: run \`sudo apt-get install --no-install-recommends ${list}\``);
  say(`installing ${list} with apt-get`);
  // Never removes anything: a machine with another containerd keeps it, and the error says what is in the way.
  const install = ['install', '-y', '--no-install-recommends', '--no-remove', ...names];
  let ran = await aptGet(install);
  if (ran.code !== 0) {
    // A new machine has no package lists yet, an old one has outdated ones.
    await aptGet(['update']);
    ran = await aptGet(install);
  }
  const still = missing(wanted);
  if (still.length > 0)
    throw new Error(`apt-get could not install ${still.join(' ')}:\n${ran.output.trim().split('\n').slice(-8).join('\n')}`);
}

/** The full path of a program, also of one for administrators (Debian keeps /usr/sbin off the PATH of ordinary users). */
export function findCommand(command: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  const candidates = isAbsolute(command) ? [command] : folders.filter((folder) => folder !== '').map((folder) => join(folder, command));
  return candidates.find(isExecutable);
}

function missing(wanted: readonly DebianPackage[]): string[] {
  return [...new Set(wanted.filter(({ command }) => findCommand(command) === undefined).map((one) => one.package))];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function aptGet(args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Packages start no services in runlevel 1 (invoke-rc.d): the node's containerd is started here, by its own configuration.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    });
    let output = '';
    const take = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
