// What the verifier says about the cluster as it is: the NetworkPolicies, namespaces and pods that the API server holds, read back and judged by operator/reach.
import { type Manifest, type Reach, reachOf } from '../../operator/reach/reach.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { get } from '../controlplane/testing.ts';
import { partsOf, type Target } from './calls.ts';
import type { Port, Protocol } from './ports.ts';

export type Prediction = {
  /** May whoever has this address open the connection? */
  allows(from: string, to: Target): boolean;
  /** Every pod with an address, and the ports that its containers name. */
  pods: readonly SeenPod[];
};
export type SeenPod = { name: string; ip: string; ports: readonly Port[] };

export type LiveObject = { kind: string; metadata: { name: string; namespace?: string }; spec?: object };
type PodObject = LiveObject & {
  metadata: { name: string; namespace: string; ownerReferences?: { controller?: boolean; kind: string; name: string }[] };
  spec: { containers: { ports?: { containerPort: number; protocol: Protocol }[] }[] };
  status?: { podIP?: string };
};

export async function predict(cluster: Cluster): Promise<Prediction> {
  return judge(await live(cluster));
}

/** Namespaces, pods and NetworkPolicies as the API server gives them. */
export async function live(cluster: Cluster): Promise<LiveObject[]> {
  return (await get<{ items: LiveObject[] }>(cluster, 'namespaces,pods,networkpolicies', '--all-namespaces')).items;
}

export function judge(items: readonly LiveObject[]): Prediction {
  const reach = reachOf(items.map((object): Manifest => ({ source: 'the API server', object })));
  if (reach.omitted.length > 0 || reach.hostNetwork.length > 0)
    throw new Error(`the verifier leaves out: ${[...reach.omitted, ...reach.hostNetwork].join(', ')}`);
  const pods = items.filter(isPod).filter(({ status }) => status?.podIP !== undefined);
  const workloads = new Map(pods.map((pod) => [pod.status?.podIP ?? '', workloadOf(pod)]));
  const pairs = new Map<string, Reach['connections']>();
  return {
    pods: pods.map(({ metadata, spec, status }) => ({
      name: `${metadata.namespace}/${metadata.name}`,
      ip: status?.podIP ?? '',
      ports: spec.containers.flatMap(({ ports = [] }) => ports).map(({ containerPort, protocol }) => ({ protocol, port: containerPort })),
    })),
    allows(from, to) {
      const { protocol, ip, port } = partsOf(to);
      const key = `${from} ${ip}`;
      const known = pairs.get(key) ?? reach.connections.filter((one) => isAt(one.from, from, workloads) && isAt(one.to, ip, workloads));
      pairs.set(key, known);
      return known.some(({ connections }) => (connections.get(protocol) ?? []).some(([first, last]) => first <= port && port <= last));
    },
  };
}

const isPod = (object: LiveObject): object is PodObject => object.kind === 'Pod';

/** The verifier names whom a pod belongs to. */
function workloadOf({ metadata }: PodObject): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller) ?? { kind: 'Pod', name: metadata.name };
  return `${metadata.namespace}/${owner.name}[${owner.kind}]`;
}

function isAt({ text, range }: Reach['connections'][number]['from'], ip: string, workloads: ReadonlyMap<string, string>): boolean {
  const workload = workloads.get(ip);
  if (workload !== undefined || range === undefined) return workload === text;
  const value = ip.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  return range.family === 4 && range.from <= value && value <= range.to;
}
