// The pods of the policy test: two of every segment that has workloads, one on each node, and strangers. Segments come from the sample and from here, so that every
// kind of flow occurs whatever the sample holds.
import type { Cluster } from '../controlplane/cluster.ts';
import { type Target, target } from './calls.ts';
import { NODES } from './layout.ts';
import { type Endpoint, mayReach, mayReachBroker, mayReachOutside, type PolicyText, type Rules } from './oracle.ts';
import { startPods, type TestPod } from './pods.ts';
import { type Port, tcp } from './ports.ts';

/** Every pod listens on every port: what is shut is shut by policies. The last one is granted to nobody. */
const NEVER_GRANTED = 7777;
/** A site: its administrator labelled it, so that every pod in it is shut that no segment opens. */
export const HARBOUR = 'harbour';
/** No site: pods without a segment are open here. */
export const ARCHIVE = 'archive';

export function ownPolicies(): PolicyText[] {
  const policy = (namespace: string, name: string, spec: object): PolicyText =>
    ({
      apiVersion: 'hedgerow.dev/v1alpha1',
      kind: 'SegmentPolicy',
      metadata: { namespace, name },
      spec: { function: name, workloads: [{ podSelector: { matchLabels: { app: name } } }], ...spec },
    }) as PolicyText;
  return [
    policy(HARBOUR, 'crane', {
      trust: 2,
      conduits: [
        { name: 'to-gateway', to: { segment: 'gateway' }, ports: [{ port: 8883 }, { port: 9100 }] },
        // The historian does not accept cranes: both sides have to grant.
        { name: 'to-historian', to: { namespace: ARCHIVE, segment: 'historian' }, ports: [{ port: 5432 }] },
      ],
    }),
    policy(HARBOUR, 'gateway', {
      trust: 3,
      intraSegment: 'Allow',
      // Of the two ports that cranes ask for, one.
      acceptFrom: [{ segment: 'crane', ports: [{ port: 8883 }] }],
      conduits: [{ name: 'to-historian', to: { namespace: ARCHIVE, segment: 'historian' }, ports: [{ port: 5432 }] }],
    }),
    policy(ARCHIVE, 'historian', {
      trust: 3,
      // Cranes are accepted on a port that no conduit of theirs leads to.
      acceptFrom: [
        { namespace: HARBOUR, segment: 'gateway', ports: [{ port: 5432 }] },
        { namespace: HARBOUR, segment: 'crane', ports: [{ port: 8883 }] },
      ],
    }),
  ];
}

export function ownNamespaces(): object[] {
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: HARBOUR, labels: { 'hedgerow.dev/site': '' } } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ARCHIVE } },
  ];
}

export function podsFor(policies: readonly PolicyText[]): TestPod[] {
  const ports = portsOf(policies);
  const pod = (name: string, namespace: string, labels: Record<string, string>, at: 0 | 1): TestPod => ({
    name,
    namespace,
    labels,
    node: NODES[at].name,
    ports,
  });
  const members = policies.flatMap(({ metadata, spec }) =>
    (spec.workloads ?? []).flatMap(({ podSelector }, n) =>
      ([0, 1] as const).map((at) => pod(`${metadata.name}-${n}-${at}`, metadata.namespace, { ...podSelector.matchLabels }, at)),
    ),
  );
  return [...members, pod('stranger', HARBOUR, {}, 0), pod('bystander', ARCHIVE, {}, 1), pod('visitor', 'default', {}, 0)];
}

function portsOf(policies: readonly PolicyText[]): Port[] {
  const granted = policies.flatMap(({ spec }) => [...(spec.conduits ?? []), ...(spec.acceptFrom ?? [])].flatMap(({ ports = [] }) => ports));
  const numbers = granted.filter(({ protocol = 'TCP' }) => protocol === 'TCP').map(({ port }) => port);
  return tcp(...[...new Set([...numbers, NEVER_GRANTED])].sort((a, b) => a - b));
}

export type Address = { name: string; ip: string; pod: TestPod };

/** Starts the pods and waits until they run. */
export async function startAddresses(cluster: Cluster, pods: readonly TestPod[], image: string): Promise<Address[]> {
  const ips = await startPods(cluster, pods, image);
  return pods.map((pod) => ({ name: `${pod.namespace}/${pod.name}`, ip: ips.get(`${pod.namespace}/${pod.name}`) ?? '', pod }));
}

/** Outside the cluster: the broker's port for devices, and something that nobody was granted. */
export type Outside = { broker: Target; other: Target };

/** Every connection of `targetsOf` that has to work; every other one has to fail. */
export function expected(from: Address, all: readonly Address[], outside: Outside, rules: Rules): Set<Target> {
  const end = (address: Address): Endpoint => ({ namespace: address.pod.namespace, labels: address.pod.labels });
  const open = all
    .filter((to) => to !== from)
    .flatMap((to) =>
      targetsAt(
        to.ip,
        to.pod.ports.filter(({ port }) => mayReach(end(from), end(to), port, rules)),
      ),
    );
  if (mayReachBroker(end(from), rules)) open.push(outside.broker);
  if (mayReachOutside(end(from), rules)) open.push(outside.other);
  return new Set(open);
}

/** A pod's way to itself is no network. */
export function targetsOf(from: Address, all: readonly Address[], outside: Outside): Target[] {
  return [...all.filter((to) => to !== from).flatMap((to) => targetsAt(to.ip, to.pod.ports)), outside.broker, outside.other];
}

export const targetsAt = (ip: string, ports: readonly Port[]): Target[] => ports.map(({ protocol, port }) => target(protocol, ip, port));
