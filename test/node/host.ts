// Commands of the machine, run to their end.
import { findCommand } from '../../scripts/bootstrap/debian.ts';
import { runProcess } from '../controlplane/helm.ts';

/** Runs a command and gives its stdout. Throws with its own words when it fails. */
export async function run(command: string, ...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await runProcess([findCommand(command) ?? command, ...args]);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.trim() || stdout.trim() || `exit code ${code}`}`);
  return stdout;
}

/** The words before a command that puts it into a network namespace. Not `ip netns exec`: that remounts /sys, and the cgroups are gone. */
export function inside(namespace: string): string[] {
  return [findCommand('nsenter') ?? 'nsenter', `--net=/run/netns/${namespace}`, '--'];
}

/** The words before a program that knows nothing of its parent: the kernel ends it with the process that started it. */
export function dyingWithParent(): string[] {
  return [findCommand('setpriv') ?? 'setpriv', '--pdeathsig', 'KILL', '--'];
}
