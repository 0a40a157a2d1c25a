// Real helm as a process.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { program } from './programs.ts';

export type Ran = { stdout: string; stderr: string; code: number };

/** Runs helm with its caches in `workDir`, apart from the person's own. Throws with helm's words when it fails. */
export async function runHelm(args: readonly string[], options: { workDir: string; stdin?: string; kubeconfig?: string }): Promise<Ran> {
  const { bin } = await program('helm');
  const home = join(options.workDir, 'helm');
  const env = {
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    ...(options.kubeconfig === undefined ? {} : { KUBECONFIG: options.kubeconfig }),
  };
  const ran = await runProcess([bin, ...args], { env, ...(options.stdin === undefined ? {} : { stdin: options.stdin }) });
  if (ran.code !== 0) throw new Error(`helm ${args[0]}: ${ran.stderr.trim()}`);
  return ran;
}

/** Runs a program to its end and gives what it wrote; `code` is 128 + n when a signal ended it. */
export function runProcess(
  command: readonly [string, ...string[]],
  options: { env?: Record<string, string>; stdin?: string } = {},
): Promise<Ran> {
  const [file, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ stdout, stderr, code: code ?? 128 }));
    // A program that ends without reading its input closes the pipe; that is its business.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.stdin ?? '');
  });
}
