// The one cluster that the test files of a run share: started by Vitest's global set-up, or by the first file that asks when a file is run by other means.
import { rm } from 'node:fs/promises';
import { attachCluster, type Cluster, startCluster } from './cluster.ts';
import { clusterDir, clusterNames } from './layout.ts';
import { pidExists } from './process.ts';

/** By environment, not by file: two runs at a time must not find each other's cluster. */
export const SHARED_CLUSTER_VARIABLE = 'HEDGEROW_SHARED_CLUSTER';

const PREFIX = 'test-';

let mine: Promise<Cluster> | undefined;

/**
 * The shared cluster with controller-manager, cert-manager and the audit log. Make namespaces of your own in it and leave its components alone:
 * whoever kills or pauses one starts a cluster of his own.
 */
export function sharedCluster(): Promise<Cluster> {
  mine ??= attachOrStart();
  return mine;
}

export async function startShared(): Promise<Cluster> {
  await removeLeftovers();
  const name = `${PREFIX}${process.pid}`;
  return startCluster({ name, freshData: true, auditLog: true, with: ['controller-manager', 'cert-manager'] });
}

async function attachOrStart(): Promise<Cluster> {
  const name = process.env[SHARED_CLUSTER_VARIABLE];
  if (name === undefined) return startShared();
  const cluster = await attachCluster(name);
  if (cluster === undefined) throw new Error(`the shared cluster ${name} is gone`);
  return cluster;
}

let made = 0;
/** A namespace that no other test uses, made at once. */
export async function ownNamespace(cluster: Cluster, prefix: string): Promise<string> {
  const name = `${prefix}-${process.pid}-${++made}`;
  const { code, stderr } = await cluster.kubectl(['create', 'namespace', name]);
  if (code !== 0) throw new Error(stderr);
  return name;
}

/** Folders of runs that were killed: their processes died with them, their files did not. */
async function removeLeftovers(): Promise<void> {
  for (const name of await clusterNames()) {
    const owner = name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length)) : Number.NaN;
    if (Number.isInteger(owner) && !pidExists(owner)) await rm(clusterDir(name), { recursive: true, force: true });
  }
}
