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
import { text } from './flags.ts';
import type { Values } from './parse.ts';

/** Runs `work` with a client and closes its connections, whatever comes. `namespace` is that of --namespace, else of the kubeconfig's context; the skew is how far this machine's clock is ahead of the API server's. */
export async function withCluster<T>(
  values: Values,
  work: (client: KubeClient, namespace: string, clockSkewMs: () => number | undefined) => Promise<T>,
): Promise<T> {
  const connection = await kubeconfigConnection(kubeconfigFile(text(values, 'kubeconfig'), environment), text(values, 'context'));
  let skewMs: number | undefined;
  const client = connect(connection, {
    ...{ clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics },
    userAgent: 'kubectl-hedgerow',
    onDate: (serverMs) => {
      // In the middle of the second that the header names.
      if (!Number.isNaN(serverMs)) skewMs = systemClock.now() - (serverMs + 500);
    },
  });
  try {
    return await work(client, text(values, 'namespace') ?? connection.namespace, () => skewMs);
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
  if (code === undefined) return new CliError('HR-CLI-003', error.message);
  const cure = code === 'HR-KUBE-004' ? cureOfForbidden(error.message) : KUBE_ERRORS[code].cure;
  return new Error(`${code}: ${error.message}. Cure: ${cure}`);
}

/** The table's cure is for the operator. The API server's sentence names verb, resource and place (k8s.io/apiserver forbiddenMessage). */
export function cureOfForbidden(message: string): string {
  const [, verb, resource, group] = /cannot (\w+) resource "([\w/-]+)" in API group "([\w.-]*)"/.exec(message) ?? [];
  if (verb === undefined || resource === undefined) return 'ask for a role with the right that the message names';
  const namespace = /in the namespace "([\w-]+)"/.exec(message)?.[1];
  const place = namespace === undefined ? 'in all namespaces (a ClusterRole)' : `in the namespace ${namespace} (a Role)`;
  const what = group === undefined || group === '' ? resource : `${resource}.${group}`;
  return `ask for the right to ${verb} ${what} ${place}; "kubectl auth can-i --list" shows what you may`;
}
