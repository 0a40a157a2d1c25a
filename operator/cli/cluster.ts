// The API server as the person at the shell: kubeconfig, context and that person's own rights.
import { join } from 'node:path';
import { connect, type KubeClient } from '../kube/client.ts';
import { kubeconfigConnection } from '../kube/config.ts';
import { codeOf, ERRORS as KUBE_ERRORS, KubeError } from '../kube/errors.ts';
import { noKubeMetrics } from '../kube/ports.ts';
import { systemClock } from '../runtime/clock.ts';
import { environment } from '../runtime/environment.ts';
import { silentLog } from '../runtime/log.ts';
import { systemRandom } from '../runtime/random.ts';
import { CliError } from './errors.ts';

export type ClusterFlags = { kubeconfig?: string | undefined; context?: string | undefined };

/** Runs `work` with a client and closes its connections, whatever comes. */
export async function withCluster<T>(flags: ClusterFlags, work: (client: KubeClient, namespace: string) => Promise<T>): Promise<T> {
  const connection = await kubeconfigConnection(kubeconfigFile(flags.kubeconfig, environment), flags.context);
  const client = connect(connection, {
    ...{ clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics },
    userAgent: 'kubectl-hedgerow',
  });
  try {
    return await work(client, connection.namespace);
  } catch (error) {
    throw error instanceof KubeError ? explained(error, connection.server) : error;
  } finally {
    await client.close();
  }
}

/** As kubectl finds it: the flag, KUBECONFIG, ~/.kube/config. */
export function kubeconfigFile(flag: string | undefined, env: (name: string) => string | undefined): string {
  if (flag !== undefined) return flag;
  const files =
    env('KUBECONFIG')
      ?.split(process.platform === 'win32' ? ';' : ':')
      .filter((file) => file !== '') ?? [];
  const [first, second] = files;
  if (second !== undefined) throw new CliError('HR-CLI-002', `KUBECONFIG names ${files.length} files`);
  if (first !== undefined) return first;
  const home = env('HOME') ?? env('USERPROFILE');
  if (home === undefined) throw new CliError('HR-CLI-002', 'neither --kubeconfig nor KUBECONFIG is set, and there is no home folder');
  return join(home, '.kube', 'config');
}

function explained(error: KubeError, server: string): Error {
  if (error.status === 0) return new CliError('HR-CLI-001', `${server}: ${error.message}`);
  const code = codeOf(error, true);
  return code === undefined
    ? new CliError('HR-CLI-003', error.message)
    : new Error(`${code}: ${error.message}. Cure: ${KUBE_ERRORS[code].cure}`);
}
