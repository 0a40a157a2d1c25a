// For programs that are not ours (KUBEBUILDER_ASSETS) and cannot be told to die with their parent: a small process beside them that sees to it.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { handleOn, isAlive } from './process.ts';

/** Ends `pid` soon after this program has ended, however it ended. */
export function watchParent(pid: number): void {
  spawn(process.execPath, [fileURLToPath(import.meta.url), String(process.pid), String(pid)], { detached: true, stdio: 'ignore' }).unref();
}

if (import.meta.main) {
  const [parent, watched] = process.argv.slice(2).map((pid) => handleOn(Number(pid)));
  setInterval(() => {
    if (parent === undefined || watched === undefined || !isAlive(watched)) process.exit(0);
    if (isAlive(parent)) return;
    process.kill(watched.pid, 'SIGKILL');
    process.exit(0);
  }, 500);
}
