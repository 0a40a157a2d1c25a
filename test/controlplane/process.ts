// One component as an OS process: started with its log file, found again by another program, stopped, killed, paused.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** What is kept of a running process. `born` tells it from a later process with the same id. */
export type Handle = { pid: number; born: string };

export type Launch = {
  command: readonly [string, ...string[]];
  logFile: string;
  /** false: it goes on when this program ends (`cluster up`). */
  dieWithParent: boolean;
  env?: Record<string, string>;
};

export async function launch(options: Launch): Promise<Handle> {
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a');
  const [program, ...args] = options.command;
  const child = spawn(program, args, {
    // Its own process group: Ctrl-C in a terminal reaches the launcher alone, which then stops the parts in order.
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env, ...(options.dieWithParent ? { HEDGEROW_DIE_WITH_PARENT: String(process.pid) } : {}) },
  });
  closeSync(log);
  child.unref();
  const pid = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', () => resolve(child.pid ?? -1));
  });
  return handleOn(pid);
}

/** A process that is known by its id only. */
export function handleOn(pid: number): Handle {
  return { pid, born: born(pid) ?? '' };
}

export function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, but is another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function isAlive(handle: Handle): boolean {
  if (!pidExists(handle.pid)) return false;
  const seen = born(handle.pid);
  return seen === undefined ? handle.born === '' : seen === handle.born;
}

export function signal(handle: Handle, name: NodeJS.Signals): void {
  if (!isAlive(handle)) return;
  try {
    process.kill(handle.pid, name);
  } catch {
    // Gone between the look and the signal.
  }
}

/** SIGTERM, after `graceMs` SIGKILL; resolves when the process is gone. */
export async function stop(handle: Handle, graceMs: number): Promise<void> {
  signal(handle, 'SIGTERM');
  // A paused process would keep the SIGTERM until it is resumed.
  signal(handle, 'SIGCONT');
  if (await gone(handle, graceMs)) return;
  await kill(handle);
}

export async function kill(handle: Handle, name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  signal(handle, name);
  if (!(await gone(handle, 10_000))) throw new Error(`process ${handle.pid} outlived ${name} by 10 s`);
}

export function lastLines(logFile: string, count: number): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '(no log)';
  }
}

async function gone(handle: Handle, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isAlive(handle)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

/** The start time as Linux tells it, undefined for a zombie-free absence; '' where there is no /proc: there the id alone has to do. */
function born(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): field 3 is the state, 20 the number of threads and 22 the start time; the name in parentheses may itself hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // After a SIGKILL the first thread may be a zombie while others still end: until then its ports are taken.
    return fields[0] === 'Z' && Number(fields[17]) <= 1 ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
