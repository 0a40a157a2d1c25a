// A container as a process: in a mount namespace of its own, so that its volumes lie at the very paths that the pod names, under a small shell that outlives the
// agent and writes down how it ended (what containerd's shim is to a kubelet).
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Fate } from './pod-status.ts';

export type Start = {
  /** The pod's folder on the node. */
  dir: string;
  logFile: string;
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  mounts: readonly Mount[];
  /** When this process is gone, nobody is left to end the container: it ends itself. */
  owner: number;
};
/** `from` is below the pod's folder, and relative to it. */
type Mount = { from: string; at: string; readOnly: boolean };

const SCRIPT = 'start.sh';
/** A shim that has not written its id after this time never will: the agent was killed before it started one. */
const SHIM_WITHIN_MS = 5_000;
/** What containerd gives when a container cannot be started. */
const CANNOT_START = 128;

/** Resolves when the shim is started. */
export async function startContainer(options: Start): Promise<void> {
  const { dir, command, env, mounts, owner } = options;
  const asRoot = process.getuid?.() === 0;
  const script = shimScript(dir, mounts, asRoot);
  const log = openSync(options.logFile, 'a');
  // Written before the process is there: an agent that was killed in between does not start a second one.
  await writeFile(join(dir, SCRIPT), script, { mode: 0o700 });
  const words = ['--mount', '--propagation', 'private', ...(asRoot ? [] : ['--map-root-user'])];
  const child = spawn('unshare', [...words, '/bin/sh', join(dir, SCRIPT), String(owner), ...command], {
    // Its own session: what is meant for the agent does not reach it.
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env },
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('spawn', resolve);
  });
  child.unref();
}

/** undefined: it was never started; `starting`: look again. */
export function fateOf(dir: string, startedAt: string, now: Date): Fate | 'starting' | undefined {
  const script = join(dir, SCRIPT);
  if (!existsSync(script)) return undefined;
  const ended = (code: number, lost?: true): Fate => ({
    ...{ state: 'ended', code, startedAt, finishedAt: now.toISOString() },
    ...(lost === undefined ? {} : { lost }),
  });
  const exit = number(dir, 'exit');
  if (exit !== undefined) return ended(exit);
  const shim = number(dir, 'shim');
  if (shim === undefined) return now.getTime() - statSync(script).mtimeMs < SHIM_WITHIN_MS ? 'starting' : ended(137, true);
  if (runs(shim, script)) {
    const pid = number(dir, 'pid');
    return pid === undefined ? 'starting' : { state: 'running', pid, startedAt };
  }
  // It may have written it between the two looks.
  const late = number(dir, 'exit');
  return late === undefined ? ended(137, true) : ended(late);
}

/** To the container's process alone: the shim stays, to say how it ended. */
export function signalContainer(dir: string, signal: NodeJS.Signals): void {
  const pid = number(dir, 'pid');
  const shim = number(dir, 'shim');
  if (pid === undefined || shim === undefined || number(dir, 'exit') !== undefined || !runs(shim, join(dir, SCRIPT))) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It ended between the look and the signal.
  }
}

/**
 * The shell that makes the mounts, starts the command and waits for it. A path that the machine does not have is made in an overlay over the nearest folder that
 * it has, in memory and only in this namespace. Its own files it names from the pod's folder, which a mount may hide. `$1` is the owner, the rest is the command.
 */
function shimScript(dir: string, mounts: readonly Mount[], asRoot: boolean): string {
  const inOrder = mounts.toSorted((a, b) => a.at.localeCompare(b.at));
  const folders = [...new Set(inOrder.filter(({ at }) => !existsSync(at)).map(({ at }) => nearestFolder(at)))];
  const layers = asRoot ? '' : 'userxattr,';
  return [
    'set -e',
    `cd ${quoted(dir)}`,
    'write() { echo "$2" > "$1.new"; mv "$1.new" "$1"; }',
    `trap 'write exit ${CANNOT_START}' EXIT`,
    'write shim $$',
    'mkdir -p scratch; mount -t tmpfs none scratch',
    ...folders.flatMap((folder, at) => [
      `mkdir scratch/upper-${at} scratch/work-${at}`,
      `mount -t overlay overlay -o ${layers}lowerdir=${quoted(folder)},upperdir=scratch/upper-${at},workdir=scratch/work-${at} ${quoted(folder)}`,
    ]),
    ...inOrder.flatMap(({ from, at, readOnly }) => [
      `mkdir -p ${quoted(at)}; mount --bind ${quoted(from)} ${quoted(at)}`,
      ...(readOnly ? [`mount -o remount,bind,ro ${quoted(at)}`] : []),
    ]),
    'trap - EXIT; set +e',
    'owner=$1; shift',
    '(cd /; exec "$@") & child=$!',
    'write pid $child',
    '(while kill -0 $owner; do sleep 1; done; kill -9 $child) 2>/dev/null & watch=$!',
    'wait $child; write exit $?',
    'kill $watch',
    '',
  ].join('\n');
}

/** Resolved: /var/run is a link to /run, and only /run can be laid over. */
function nearestFolder(path: string): string {
  let folder = dirname(path);
  while (!existsSync(folder)) folder = dirname(folder);
  const real = realpathSync(folder);
  if (real === '/') throw new Error(`this machine has no folder above ${path} but the root`);
  return real;
}

/** By its command line: its id may be another process's by now. */
function runs(pid: number, script: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(script);
  } catch {
    return false;
  }
}

function number(dir: string, file: string): number | undefined {
  try {
    return Number(readFileSync(join(dir, file), 'utf8'));
  } catch {
    return undefined;
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
