// One `go build` with progress: packages done of all, an estimate, where the result will lie.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Toolchain } from './toolchain.ts';

export type Say = (line: string) => void;
export type Compilation = {
  title: string;
  coldMinutes: number;
  source: string;
  /** What to build in it: `.`, or the path of a tool. */
  target: string;
  /** Whether it has parts in C: a C compiler is needed then. */
  cgo: boolean;
  output: string;
  ldflags: string;
  toolchain: Toolchain;
  cacheDir: string;
  say: Say;
};

type Progress = { phase: 'fetching' | 'compiling' | 'linking'; modules: number; done: number; total: number; startedAt: number };

const EVERY_MS = 15_000;
const FLAGS = ['-mod=readonly', '-trimpath', '-buildvcs=false'];

/** Compiles the module in `source`. Rejects with the compiler's words. */
export async function compile(options: Compilation): Promise<void> {
  const { say } = options;
  const progress: Progress = { phase: 'fetching', modules: 0, done: 0, total: 0, startedAt: performance.now() };
  say(
    `compiling ${options.title} with ${options.toolchain.version}; the first time takes about ${options.coldMinutes} min on 2 cores; kept in ${options.cacheDir}`,
  );
  const ticker = setInterval(() => say(`  ${line(progress, options.coldMinutes)}`), EVERY_MS);
  try {
    progress.total = await staleCount(options, progress);
    progress.phase = 'compiling';
    await goBuild(options, progress);
  } finally {
    clearInterval(ticker);
  }
  say(`compiled ${options.title}: ${progress.done} packages in ${duration(performance.now() - progress.startedAt)}`);
}

/** How many packages the build cache lacks. Fetches the modules on the way. */
async function staleCount(options: Compilation, progress: Progress): Promise<number> {
  const lines: string[] = [];
  await go(
    options,
    ['list', ...FLAGS, '-deps', '-f', '{{if .Stale}}{{.ImportPath}}{{end}}', options.target],
    (text) => lines.push(text),
    (text) => {
      if (text.startsWith('go: downloading')) progress.modules++;
    },
  );
  return lines.filter((text) => text !== '').length;
}

async function goBuild(options: Compilation, progress: Progress): Promise<void> {
  const seen = (text: string): void => {
    // `-v` names each package as its compilation begins; the program itself comes last and is followed by the link.
    if (/^[\w.][\w./~-]*$/.test(text)) progress.done++;
    if (progress.total > 0 && progress.done >= progress.total) progress.phase = 'linking';
  };
  await go(options, ['build', ...FLAGS, '-v', '-ldflags', options.ldflags, '-o', options.output, options.target], seen, seen);
}

function go(options: Compilation, args: string[], onOut: (line: string) => void, onErr: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(options.toolchain.go, args, {
      cwd: options.source,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Without cgo no C compiler is needed, and the program is static. GOFLAGS of the machine are not ours.
      env: { ...process.env, ...options.toolchain.env, CGO_ENABLED: options.cgo ? '1' : '0', GOFLAGS: '' },
    });
    // Ctrl-C reaches it by itself at a terminal only; without us nobody would move what it made to its place.
    const endWithUs = (): void => void child.kill('SIGINT');
    process.once('exit', endWithUs);
    child.once('close', () => process.off('exit', endWithUs));
    const errors: string[] = [];
    createInterface({ input: child.stdout }).on('line', onOut);
    createInterface({ input: child.stderr }).on('line', (text) => {
      errors.push(text);
      onErr(text);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(
            `go ${args[0]} failed for ${options.title}:\n${errors
              .filter((text) => !text.startsWith('go: downloading'))
              .slice(-30)
              .join('\n')}`,
          ),
        );
    });
  });
}

function line(progress: Progress, coldMinutes: number): string {
  const elapsedMs = performance.now() - progress.startedAt;
  if (progress.phase === 'fetching') return `fetching modules: ${progress.modules} so far, ${duration(elapsedMs)}`;
  const counts = `${progress.done} of ${progress.total} packages, ${duration(elapsedMs)}`;
  if (progress.phase === 'linking') return `linking: ${counts}, under a minute left`;
  return `${counts}, about ${duration(remainingMs(progress.done, progress.total, elapsedMs, coldMinutes))} left`;
}

/** By the pace so far; while little is done, by what a cold compile is known to take. */
export function remainingMs(done: number, total: number, elapsedMs: number, coldMinutes: number): number {
  const known = Math.max(0, coldMinutes * 60_000 - elapsedMs);
  if (total === 0 || done < total / 10) return known;
  return (elapsedMs * (total - done)) / done;
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 90 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
