// A real control plane on loopback ports: every part an OS process of its own, TLS 1.3 everywhere, RBAC on, each part under its real identity.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bootstrap } from './bootstrap.ts';
import { createCluster, writeKubectl } from './cluster-handle.ts';
import type { Say } from './compile.ts';
import { type Component, closure, componentsOf, type Feature, PORT_NAMES } from './components.ts';
import type { Ran } from './helm.ts';
import { type ClusterState, clusterDir, layoutOf, readState, writeState } from './layout.ts';
import { authority, type Pem } from './pki.ts';
import { freePorts } from './ports.ts';
import { isAlive } from './process.ts';
import { program, sayOnStderr } from './programs.ts';
import { bringUp, programsOf } from './start.ts';

export type ClusterOptions = {
  /** Clusters of different names run side by side. */
  name: string;
  /** What to run beside etcd and the API server; what these need is added. */
  with?: readonly Feature[];
  /** Metadata of every request, bodies only of certificate requests, in `auditLogFile`. */
  auditLog?: boolean;
  /** Throw away what an earlier cluster of this name left behind. */
  freshData?: boolean;
  /** The processes go on when this program ends. Default: they die with it, also after kill -9. */
  detached?: boolean;
  /** The address to listen on, default 127.0.0.1; for nodes in network namespaces the bridge's. */
  address?: string;
  /** Put before every command, e.g. ['nsenter', '--net=/run/netns/x', '--']. */
  enter?: readonly string[];
  /** Flags after the ordinary ones, by component. */
  extraFlags?: Partial<Record<Component, string[]>>;
  say?: Say;
};

export type Identity = { serviceAccount: string } | { user: string; groups?: readonly string[] };

export interface Cluster {
  readonly name: string;
  readonly dir: string;
  /** https://127.0.0.1:PORT */
  readonly server: string;
  readonly adminKubeconfig: string;
  readonly caPem: string;
  /** Empty unless the cluster was started with `auditLog`. */
  readonly auditLogFile: string;
  readonly features: readonly Feature[];
  readonly components: readonly Component[];
  /**
   * Path of a kubeconfig for this identity: a ServiceAccount (`ns/name`, it must exist) by a token that the API server issues, anyone else by a client certificate.
   * Made anew on every call.
   */
  kubeconfigFor(identity: Identity): Promise<string>;
  /** A serving certificate of the cluster's CA, e.g. a kubelet's: the API server accepts no other when it fetches logs. */
  serverCertificate(commonName: string, names: readonly string[]): Promise<Pem>;
  /** Ends one component at once (default SIGKILL) and returns when it is gone. Its data and ports stay. */
  kill(component: Component, signal?: NodeJS.Signals): Promise<void>;
  /** Starts a component that is down, with the same data and ports, and returns when it answers. */
  start(component: Component): Promise<void>;
  /** SIGSTOP: the component hangs, its connections stay open. */
  pause(component: Component): Promise<void>;
  resume(component: Component): Promise<void>;
  status(): Record<string, 'running' | 'paused' | 'down'>;
  pid(component: Component): number | undefined;
  /** Stops all in order, within a few seconds, and removes the folder unless `keepData`. */
  down(options?: { keepData?: boolean }): Promise<void>;
  /** kubectl as the administrator. A non-zero `code` is an answer, not an exception. */
  kubectl(args: string[], stdin?: string): Promise<Ran>;
  /** The YAML that real helm renders. */
  helmTemplate(chart: string, values: Record<string, unknown>, namespace?: string): Promise<string>;
  /** Any helm command as the administrator. Throws with helm's words when it fails. */
  helm(args: string[], stdin?: string): Promise<Ran>;
  /** The command that runs this cluster's kubectl, for people: `PATH/kubectl`, a script that needs no settings. */
  readonly kubectlCommand: string;
}

/** Compiles what is missing (with progress), starts the cluster and returns when everything asked for answers. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const say = options.say ?? sayOnStderr;
  const dir = clusterDir(options.name);
  const before = await readState(dir);
  if (before !== undefined && aliveParts(before).length > 0)
    throw new Error(
      `a cluster "${options.name}" is running already (${aliveParts(before).join(', ')}); end it with: npm run cluster -- down --name ${options.name}`,
    );
  if (options.freshData === true) await rm(dir, { recursive: true, force: true });
  const state = await stateFor(options, options.freshData === true ? undefined : before);
  // Before anything starts: a compile may take minutes, and a half-started cluster should not wait for it.
  for (const name of programsOf(state.features)) await program(name, say);
  const layout = layoutOf(dir, state);
  const ca = await bootstrap(state, layout);
  await writeState(dir, state);
  const cluster = await createCluster(dir, state, ca);
  await writeKubectl(cluster);
  try {
    await bringUp(cluster, componentsOf(state.features));
  } catch (error) {
    await cluster.down({ keepData: true });
    throw error;
  }
  return cluster;
}

/** A cluster that another program started, found by its name. undefined when there is none or no part of it runs. */
export async function attachCluster(name: string): Promise<Cluster | undefined> {
  const dir = clusterDir(name);
  const state = await readState(dir);
  if (state === undefined || aliveParts(state).length === 0) return undefined;
  return createCluster(dir, state, await authority(join(dir, 'pki'), 'ca'));
}

async function stateFor(options: ClusterOptions, before: ClusterState | undefined): Promise<ClusterState> {
  const address = options.address ?? before?.address ?? '127.0.0.1';
  return {
    name: options.name,
    address,
    ports: before?.ports ?? (await freePorts(PORT_NAMES, address.startsWith('127.') ? address : '127.0.0.1')),
    features: closure([...(before?.features ?? []), ...(options.with ?? [])]),
    auditLog: options.auditLog ?? before?.auditLog ?? false,
    extraFlags: options.extraFlags ?? before?.extraFlags ?? {},
    enter: [...(options.enter ?? before?.enter ?? [])],
    detached: options.detached ?? false,
    processes: {},
    paused: [],
  };
}

function aliveParts(state: ClusterState): string[] {
  return Object.entries(state.processes)
    .filter(([, handle]) => isAlive(handle))
    .map(([component]) => component);
}
