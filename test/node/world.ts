// Everything below Hedgerow: the control plane on the bridge, two nodes on it, images on the nodes. Runs inside the centre's network namespace.
import { mkdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type Cluster, startCluster } from '../controlplane/cluster.ts';
import { isAlive, lastLines } from '../controlplane/process.ts';
import { apply, get } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';
import { importImage, startContainerd } from './containerd.ts';
import { IMAGES } from './images.ts';
import { CENTRE_IP, CLUSTER_NAME, NODES } from './layout.ts';
import { enforces, kubeRouterObjects, nodeObject, startKubelet, startKubeProxy, startKubeRouter } from './node.ts';

/** The control plane with cert-manager on the bridge's address; the images lie on both nodes when it returns. */
export async function startCentre(): Promise<Cluster> {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  if (!addresses.some(({ address }) => address === CENTRE_IP))
    throw new Error(`this belongs into the network namespace that has ${CENTRE_IP}`);
  for (const node of NODES) mkdirSync(node.dir, { recursive: true });
  const [cluster] = await Promise.all([
    startCluster({
      name: CLUSTER_NAME,
      freshData: true,
      address: CENTRE_IP,
      with: ['controller-manager', 'scheduler', 'cert-manager'],
      extraFlags: { 'kube-controller-manager': ['--node-monitor-grace-period=6s', '--node-monitor-period=1s'] },
    }),
    ...NODES.map(async (node) => {
      await startContainerd(node, IMAGES.podtool.reference);
      for (const { file } of Object.values(IMAGES)) await importImage(node, file);
    }),
  ]);
  return cluster;
}

export async function startNodes(cluster: Cluster): Promise<void> {
  await apply(cluster, [...NODES.map(nodeObject), ...kubeRouterObjects()]);
  const kubelets = await Promise.all(NODES.map((node) => startKubelet(cluster, node)));
  await waitFor('both nodes to be Ready', async () => (await readyNodes(cluster)).length === NODES.length || undefined, {
    timeoutMs: 60_000,
  });
  // These need the address that the kubelet writes into the Node ("host IP unknown").
  const others = await Promise.all(NODES.flatMap((node) => [startKubeProxy(cluster, node), startKubeRouter(cluster, node)]));
  for (const node of NODES) await waitFor(`kube-router of ${node.name} to enforce`, () => enforces(node));
  const started = [...kubelets, ...others];
  const dead = started.filter(({ handle }) => !isAlive(handle));
  if (dead.length > 0) throw new Error(dead.map(({ logFile }) => `${logFile} ends with:\n${lastLines(logFile, 5)}`).join('\n'));
}

type NodeList = { items: { metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } }[] };

export async function readyNodes(cluster: Cluster): Promise<string[]> {
  const { items } = await get<NodeList>(cluster, 'nodes');
  return items
    .filter((node) => node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'))
    .map((node) => node.metadata.name);
}
