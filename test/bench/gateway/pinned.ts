// A process of this tree's Node on one core, whatever threads it has.
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { findCommand } from '../../../scripts/bootstrap/debian.ts';

export const SUBJECT_CORE = 0;
export const FEEDER_CORE = 1;

export type Pinned = {
  readonly child: ChildProcess;
  readonly pid: number /** The end of what it wrote. */;
  lastWords(): string;
  stop(): Promise<void>;
};

const GRACE_MS = 15_000;
const KEPT = 4_000;

/** `ipc`: it can be spoken with by `child.send`. */
export function startPinned(
  core: number,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; ipc?: boolean } = {},
): Pinned {
  if (findCommand('taskset') === undefined) throw new Error('this needs taskset (Debian: util-linux), which is not here');
  if (availableParallelism() < 2) throw new Error('this needs two cores: one for the subject, one for everything else');
  // taskset becomes the program: its pid is the program's.
  const child = spawn('taskset', ['--cpu-list', String(core), process.execPath, ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc === true ? (['ipc'] as const) : [])],
  });
  let words = '';
  const hear = (chunk: Buffer): void => {
    words = (words + chunk.toString()).slice(-KEPT);
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    child,
    pid: child.pid ?? 0,
    lastWords: () => words,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(late);
    },
  };
}
