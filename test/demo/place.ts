// Where the demo runs: a control plane of its own, or a cluster that exists. Both offer the same.
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attachCluster, type Cluster, startCluster } from '../controlplane/cluster.ts';
import type { Say } from '../controlplane/compile.ts';
import { clusterDir } from '../controlplane/layout.ts';
import type { ClusterAccess } from '../harness/system.ts';
import type { Cleanup } from './cleanup.ts';

export type Place = {
  access: ClusterAccess;
  /** Of our own, with identities at will; undefined for one that exists. */
  cluster: Cluster | undefined;
  /** The administrator's; of a cluster of our own its namespace is the sample's. */
  kubeconfig: string;
  server: string;
  /** A folder with a `kubectl` that needs no settings, undefined where the person's own is used. */
  binDir: string | undefined;
  operatorArgs: string[];
  /** What is other here than it should be in earnest. */
  remarks: string[];
};

type OwnOptions = { name: string; namespace: string; cleanup: Cleanup; say: Say };

/** Boots etcd, the API server, the controller manager and cert-manager. They die with this program, however it ends. */
export async function ownPlace({ name, namespace, cleanup, say }: OwnOptions): Promise<Place> {
  const dir = clusterDir(name);
  // Before it starts: Ctrl-C may come in the middle of it.
  cleanup.add('control plane', async () => {
    await (await attachCluster(name))?.down();
    rmSync(dir, { recursive: true, force: true });
  });
  const cluster = await startCluster({ name, freshData: true, with: ['controller-manager', 'cert-manager'], say });
  const binDir = join(dir, 'bin');
  const kubeconfig = await withNamespace(cluster.adminKubeconfig, namespace, join(dir, 'demo.kubeconfig'));
  writeCommand(join(binDir, 'kubectl'), `exec '${cluster.kubectlCommand}' --kubeconfig="\${KUBECONFIG:-${kubeconfig}}" "$@"`);
  return { access: cluster, cluster, kubeconfig, server: cluster.server, binDir, operatorArgs: [], remarks: [] };
}

/** So that people need not say -n all the time. */
async function withNamespace(kubeconfig: string, namespace: string, copy: string): Promise<string> {
  const config = JSON.parse(await readFile(kubeconfig, 'utf8')) as { contexts: { context: { namespace?: string } }[] };
  for (const { context } of config.contexts) context.namespace = namespace;
  await writeFile(copy, `${JSON.stringify(config, undefined, 2)}\n`, { mode: 0o600 });
  return copy;
}

function writeCommand(file: string, line: string): void {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${line}\n`);
  chmodSync(file, 0o755);
}
