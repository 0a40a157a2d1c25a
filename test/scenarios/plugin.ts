// `kubectl hedgerow` as people run it: the real kubectl finds the plugin on the PATH.
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Ran, runProcess } from '../controlplane/helm.ts';
import { program } from '../controlplane/programs.ts';
import { ROOT } from '../harness/manifests.ts';

/** The plugin's program alone: quicker, and the same but for how it is found. */
export function hedgerowCli(args: readonly string[]): Promise<Ran> {
  return runProcess([process.execPath, join(ROOT, 'operator', 'cli', 'main.ts'), ...args], { env: { KUBECONFIG: '' } });
}

/** Runs the plugin of this tree; `dir` holds the folder that is put on the PATH. */
export async function kubectlHedgerow(dir: string, args: readonly string[]): Promise<Ran> {
  const bin = join(dir, 'bin');
  const link = join(bin, 'kubectl-hedgerow');
  mkdirSync(bin, { recursive: true });
  if (!existsSync(link)) symlinkSync(join(ROOT, 'bin', 'kubectl-hedgerow.mjs'), link);
  const PATH = [bin, dirname(process.execPath), process.env.PATH ?? ''].join(':');
  return runProcess([(await program('cp')).bin, 'kubectl', 'hedgerow', ...args], { env: { PATH, KUBECONFIG: '' } });
}
