// The Cluster that callers hold: identities, kubectl, helm, and the life and death of single components.
import { existsSync } from 'node:fs';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AdminApi, adminApi } from './api.ts';
import type { Cluster, Identity } from './cluster.ts';
import { COMPONENTS, type Component, componentsOf } from './components.ts';
import { runHelm, runProcess } from './helm.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { type ClusterState, layoutOf, writeState } from './layout.ts';
import { type Authority, clientCertificate, serverCertificate } from './pki.ts';
import * as parts from './process.ts';
import { program } from './programs.ts';
import { type Running, startOne } from './start.ts';

/** The API server sits out open watches for a minute on SIGTERM; the others are done in less than this. */
const GRACE_MS = 2_000;

export async function createCluster(dir: string, state: ClusterState, ca: Authority): Promise<Cluster & Running> {
  const layout = layoutOf(dir, state);
  const server = layout.url('apiserver');
  const admin = { cert: await readFile(layout.pki('admin').cert, 'utf8'), key: await readFile(layout.pki('admin').key, 'utf8') };
  const api = adminApi(server, ca.cert, admin);
  const running: Running = { state, layout, api, caPem: ca.cert };
  const save = (): Promise<void> => writeState(dir, state);
  const handleOf = (component: Component): parts.Handle => {
    const handle = state.processes[component];
    if (handle === undefined || !parts.isAlive(handle)) throw new Error(`${component} of cluster ${state.name} is not running`);
    return handle;
  };
  const adminKubeconfig = layout.kubeconfig('admin');
  const helm = (args: string[], stdin?: string): ReturnType<typeof runHelm> =>
    runHelm(args, { workDir: dir, kubeconfig: adminKubeconfig, ...(stdin === undefined ? {} : { stdin }) });
  return {
    ...running,
    caPem: ca.cert,
    name: state.name,
    dir,
    server,
    adminKubeconfig,
    auditLogFile: state.auditLog ? join(dir, 'audit.log') : '',
    features: state.features,
    components: componentsOf(state.features),
    kubectlCommand: join(dir, 'kubectl'),
    kubeconfigFor: (identity) => kubeconfigFor({ dir, name: state.name, server, ca, api }, identity),
    serverCertificate: (commonName, names) => serverCertificate(ca, commonName, names),
    kill: async (component, signal) => {
      await parts.kill(handleOf(component), signal);
      state.paused = state.paused.filter((paused) => paused !== component);
      await save();
    },
    start: (component) => startOne(running, component),
    pause: async (component) => {
      parts.signal(handleOf(component), 'SIGSTOP');
      state.paused = [...new Set([...state.paused, component])];
      await save();
    },
    resume: async (component) => {
      parts.signal(handleOf(component), 'SIGCONT');
      state.paused = state.paused.filter((paused) => paused !== component);
      await save();
    },
    status: () => Object.fromEntries(componentsOf(state.features).map((component) => [component, statusOf(state, component)])),
    pid: (component) => state.processes[component]?.pid,
    down: (options) => down(running, options?.keepData === true),
    kubectl: async (args, stdin) =>
      runProcess([...(await kubectlWords()), `--kubeconfig=${adminKubeconfig}`, ...args], stdin === undefined ? {} : { stdin }),
    helm,
    helmTemplate: async (chart, values, namespace) =>
      (
        await helm(
          ['template', 'hedgerow', chart, ...(namespace === undefined ? [] : ['--namespace', namespace]), '--values', '-'],
          JSON.stringify(values),
        )
      ).stdout,
  };
}

/** The script that `kubectlCommand` names: people and scripts call it without settings. */
export async function writeKubectl(cluster: Cluster): Promise<void> {
  const words = [...(await kubectlWords()), `--kubeconfig=${cluster.adminKubeconfig}`];
  await writeFile(cluster.kubectlCommand, `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(' ')} "$@"\n`);
  await chmod(cluster.kubectlCommand, 0o755);
}

/** kubectl of KUBEBUILDER_ASSETS where there is one (then no Go is needed), else the one that was compiled along. */
async function kubectlWords(): Promise<[string, ...string[]]> {
  const own = join(process.env.KUBEBUILDER_ASSETS ?? '', 'kubectl');
  return process.env.KUBEBUILDER_ASSETS && existsSync(own) ? [own] : [(await program('cp')).bin, 'kubectl'];
}

type Access = { dir: string; name: string; server: string; ca: Authority; api: AdminApi };

async function kubeconfigFor({ dir, name, server, ca, api }: Access, identity: Identity): Promise<string> {
  const cluster = { name, server, caPem: ca.cert };
  const user = 'serviceAccount' in identity ? identity.serviceAccount : identity.user;
  const file = join(dir, 'kubeconfigs', `${user.replaceAll(/[^\w.-]/g, '_')}-${Date.now()}-${Math.floor(Math.random() * 1e6)}.kubeconfig`);
  if ('user' in identity) return writeKubeconfig(file, cluster, user, { client: await clientCertificate(ca, identity) });
  const [namespace, account] = identity.serviceAccount.split('/');
  if (!namespace || !account) throw new Error(`"${identity.serviceAccount}" is not namespace/name`);
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 2 * 86_400 } };
  const { status } = await api.call<{ status: { token: string } }>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`,
    review,
  );
  return writeKubeconfig(file, cluster, user, { token: status.token });
}

function statusOf(state: ClusterState, component: Component): 'running' | 'paused' | 'down' {
  const handle = state.processes[component];
  if (handle === undefined || !parts.isAlive(handle)) return 'down';
  return state.paused.includes(component) ? 'paused' : 'running';
}

/** Clients first, then the API server, then its store. */
async function down({ state, layout, api }: Running, keepData: boolean): Promise<void> {
  api.close();
  const stopOne = async (component: Component): Promise<void> => {
    const handle = state.processes[component];
    if (handle !== undefined) await parts.stop(handle, GRACE_MS);
  };
  const clients = COMPONENTS.filter((component) => component !== 'etcd' && component !== 'kube-apiserver');
  await Promise.all(clients.map(stopOne));
  await stopOne('kube-apiserver');
  await stopOne('etcd');
  state.processes = {};
  state.paused = [];
  if (keepData) await writeState(layout.dir, state);
  else await rm(layout.dir, { recursive: true, force: true });
}
