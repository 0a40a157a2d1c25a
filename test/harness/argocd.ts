// Argo CD's application-controller and repo-server as OS processes, under the ServiceAccounts, roles and settings of Argo CD's own manifests.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../controlplane/cluster.ts';
import { freePorts } from '../controlplane/ports.ts';
import { type Handle, isAlive, lastLines, launch, stop } from '../controlplane/process.ts';
import { program } from '../controlplane/programs.ts';
import { objectsIn } from './manifests.ts';
import { runner } from './system.ts';
import { waitFor } from './wait.ts';

export const ARGOCD_NAMESPACE = 'argocd';
const CONTROLLER_ACCOUNT = 'argocd-application-controller';
export const ARGOCD_USER = `system:serviceaccount:${ARGOCD_NAMESPACE}:${CONTROLLER_ACCOUNT}`;

export type ArgoCdOptions = {
  cluster: Cluster;
  /** Logs, and the clones of the repo-server. */
  dir: string;
  /** The only namespaces of the cluster that it looks at. */
  namespaces: readonly string[];
  /** Added to the ConfigMap `argocd-cm`. */
  settings: Record<string, string>;
  /** How often it compares everything again; Argo CD's own default is 120. */
  resyncSeconds: number;
};

/** `stop` also takes away the ClusterRole, which lets Argo CD do everything: no other test should meet it. */
export type ArgoCd = { stop(): Promise<void> };

const MANIFESTS = ['base/config', 'base/application-controller-roles', 'base/repo-server', 'cluster-rbac/application-controller'];
// Deployments have nobody here to run them, and Services nobody to route to.
const WANTED = new Set(['ConfigMap', 'Secret', 'ServiceAccount', 'Role', 'RoleBinding', 'ClusterRole', 'ClusterRoleBinding']);
const GRACE_MS = 5_000;

export async function startArgoCd(options: ArgoCdOptions): Promise<ArgoCd> {
  const { bin, assets } = await program('argocd');
  const account = (name: string): Promise<string> => options.cluster.kubeconfigFor({ serviceAccount: `${ARGOCD_NAMESPACE}/${name}` });
  const port = await freePorts(['redis', 'repo', 'repoMetrics', 'controller'], '127.0.0.1');
  const redis = `127.0.0.1:${port.redis}`;
  const processes: Handle[] = [];
  const start = async (part: string, args: string[], env: Record<string, string>, answers: () => Promise<boolean>): Promise<void> => {
    const logFile = join(options.dir, `argocd-${part}.log`);
    const handle = await launch({ command: [bin, part, ...args], logFile, dieWithParent: true, env });
    processes.push(handle);
    await waitFor(
      `Argo CD's ${part} to answer`,
      async () => {
        if (!isAlive(handle)) throw new Error(`it ended: ${lastLines(logFile, 5)}`);
        return (await answers()) || undefined;
      },
      { timeoutMs: 90_000 },
    );
  };
  const stopAll = async (): Promise<void> => {
    for (const handle of processes.toReversed()) await stop(handle, GRACE_MS);
    const roles = ['clusterrole', 'clusterrolebinding'].map((kind) => `${kind}/${CONTROLLER_ACCOUNT}`);
    await options.cluster.kubectl(['delete', '--ignore-not-found', ...roles]);
  };
  const common = { TMPDIR: join(options.dir, 'argocd-tmp'), ARGOCD_GPG_ENABLED: 'false', REDIS_PASSWORD: '' };
  mkdirSync(common.TMPDIR, { recursive: true });
  try {
    await install(options, join(assets, 'manifests'));
    const controllerKubeconfig = await account(CONTROLLER_ACCOUNT);
    await registerCluster(options, controllerKubeconfig);
    await start('redis', ['--address', redis], {}, async () => true);
    await start(
      'repo-server',
      [
        '--disable-tls',
        '--redis',
        redis,
        ...['--address', '127.0.0.1'],
        ...['--port', `${port.repo}`],
        ...['--metrics-port', `${port.repoMetrics}`],
      ],
      { ...common, KUBECONFIG: await account('argocd-repo-server') },
      () => healthy(port.repoMetrics, '/metrics'),
    );
    await start(
      'application-controller',
      [
        ...['--kubeconfig', controllerKubeconfig, '--namespace', ARGOCD_NAMESPACE],
        ...['--repo-server', `127.0.0.1:${port.repo}`, '--repo-server-plaintext', '--redis', redis],
        ...['--metrics-port', `${port.controller}`],
        ...['--app-resync', `${options.resyncSeconds}`, '--app-resync-jitter', '0', '--self-heal-timeout-seconds', '1'],
        '--persist-resource-health',
      ],
      common,
      () => healthy(port.controller, '/healthz'),
    );
  } catch (error) {
    await stopAll();
    throw error;
  }
  return { stop: stopAll };
}

async function install({ cluster, settings }: ArgoCdOptions, manifests: string): Promise<void> {
  const run = runner(cluster);
  await run.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: ARGOCD_NAMESPACE } }]);
  const crds = objectsIn(join(manifests, 'crds')).filter(({ kind }) => kind === 'CustomResourceDefinition');
  await run.apply(crds);
  // `kubectl wait` gives up on an object that has no conditions yet.
  await waitFor("Argo CD's kinds to be served", async () => {
    await run.kubectl('wait', '--for=condition=Established', ...crds.map(({ metadata }) => `crd/${metadata.name}`), '--timeout=30s');
    return true;
  });
  const objects = MANIFESTS.flatMap((folder) => objectsIn(join(manifests, folder))).filter(({ kind }) => WANTED.has(kind ?? ''));
  await run.apply(
    objects.map((object) => ({
      ...object,
      metadata: { ...object.metadata, ...(object.kind?.startsWith('Cluster') ? {} : { namespace: ARGOCD_NAMESPACE }) },
      ...(object.metadata.name === 'argocd-cm' ? { data: { ...(object as { data?: object }).data, ...settings } } : {}),
      // Argo CD's API server makes this one at its first start; it is not part of this.
      ...(object.metadata.name === 'argocd-secret' ? { stringData: { 'server.secretkey': randomBytes(32).toString('base64') } } : {}),
    })),
  );
}

/** Where it works, and as whom: in a pod it would know both by itself. */
async function registerCluster({ cluster, namespaces }: ArgoCdOptions, kubeconfig: string): Promise<void> {
  const { users } = JSON.parse(readFileSync(kubeconfig, 'utf8')) as { users: { user: { token: string } }[] };
  const config = { bearerToken: users[0]?.user.token, tlsClientConfig: { caData: Buffer.from(cluster.caPem).toString('base64') } };
  await runner(cluster).apply([
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'cluster', namespace: ARGOCD_NAMESPACE, labels: { 'argocd.argoproj.io/secret-type': 'cluster' } },
      stringData: { name: 'here', server: cluster.server, namespaces: namespaces.join(','), config: JSON.stringify(config) },
    },
  ]);
}

async function healthy(port: number, path: string): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2_000) });
  await answer.body?.cancel();
  return answer.ok;
}
