// Where the cluster has ClusterNetworkPolicies (policy.networking.k8s.io/v1alpha2, network-policy-api 0.2.0): a deny for the pods of Devices in quarantine that no
// NetworkPolicy of the namespace can add to. It only ever denies; without it the NetworkPolicies hold as before. Why so: docs/adr/0021-topics-of-others-and-audit.md.
import { FIELD_MANAGER, LABEL_DEVICE, LABEL_MANAGED_BY, MANAGED_BY } from '../api/names.ts';
import { apiVersionOf, CLUSTER_NETWORK_POLICIES } from '../api/resources.ts';
import type { LabelSelector } from '../api/segment-policy.ts';
import type { KubeClient } from '../kube/client.ts';
import { isNotFound, KubeError } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { type BrokerAccess, DNS_PODS, NAMESPACE_NAME, QUARANTINE_NAME } from './networkpolicy.ts';
import { canonicalJson } from './selector.ts';

type Peer =
  | { pods: { namespaceSelector: LabelSelector; podSelector: LabelSelector } }
  | { namespaces: LabelSelector }
  | { networks: string[] };
type Protocol = { tcp: { destinationPort: { number: number } } } | { udp: { destinationPort: { number: number } } };
type Rule = { name: string; action: 'Deny' | 'Pass'; from?: Peer[]; to?: Peer[]; protocols?: Protocol[] };
export type AdminDeny = KubeObject & { spec: { tier: 'Admin'; priority: number; subject: Peer; ingress: Rule[]; egress: Rule[] } };

/** The last in the tier: what the cluster's administrators say there comes first. */
const LAST = 1000;
/** maxItems of a rule's peers. */
const MOST_PEERS = 25;

/** Passed, not accepted: whether DNS and the broker are reached is left to the NetworkPolicies, which may deny it. */
export function adminDeny(namespace: string, devices: readonly string[], broker: BrokerAccess): AdminDeny {
  const podSelector = { matchExpressions: [{ key: LABEL_DEVICE, operator: 'In' as const, values: [...devices] }] };
  return {
    apiVersion: apiVersionOf(CLUSTER_NETWORK_POLICIES),
    kind: CLUSTER_NETWORK_POLICIES.kind,
    metadata: { name: nameOf(namespace), labels: { [LABEL_MANAGED_BY]: MANAGED_BY } },
    spec: {
      tier: 'Admin',
      priority: LAST,
      subject: { pods: { namespaceSelector: inNamespace(namespace), podSelector } },
      // Traffic from outside the cluster cannot be named here; the NetworkPolicy denies it.
      ingress: [{ name: 'quarantine', action: 'Deny', from: [{ namespaces: {} }] }],
      egress: [
        { name: 'dns', action: 'Pass', to: [{ pods: DNS_PODS }], protocols: [udp(53), tcp(53)] },
        ...brokerRules(broker),
        { name: 'quarantine', action: 'Deny', to: [{ namespaces: {} }, { networks: ['0.0.0.0/0', '::/0'] }] },
      ],
    },
  };
}

function brokerRules({ port, peers }: BrokerAccess): Rule[] {
  const to = peers
    .slice(0, MOST_PEERS)
    .map(
      (peer): Peer =>
        'cidr' in peer
          ? { networks: [peer.cidr] }
          : { pods: { namespaceSelector: inNamespace(peer.namespace), podSelector: labelled(peer.podLabels) } },
    );
  return to.length === 0 ? [] : [{ name: 'broker', action: 'Pass', to, protocols: [tcp(port)] }];
}

export type AdminDenies = {
  /** Makes the deny of a namespace as it should be; answers whether there is one to look after. */
  keep(namespace: string, devices: readonly string[], signal: AbortSignal): Promise<boolean>;
};

type Deps = {
  client: Pick<KubeClient, 'get' | 'apply' | 'delete' | 'raw'>;
  broker: BrokerAccess;
  clock: Clock;
  metrics: Pick<Metrics, 'applied'>;
};

/** Whether the API is there is asked this often at most: it comes and goes with an add-on. */
const ASK_AGAIN_MS = 60_000;

export function createAdminDenies({ client, broker, clock, metrics }: Deps): AdminDenies {
  let asked: { at: number; served: Promise<boolean> } | undefined;

  function isServed(signal: AbortSignal): Promise<boolean> {
    if (asked === undefined || clock.elapsed() - asked.at >= ASK_AGAIN_MS) {
      const served = ask(client, signal);
      asked = { at: clock.elapsed(), served };
      served.catch(() => {
        asked = undefined;
      });
    }
    return asked.served;
  }

  async function keep(namespace: string, devices: readonly string[], signal: AbortSignal): Promise<boolean> {
    const ref = { name: nameOf(namespace) };
    const actual = await client.get<AdminDeny>(CLUSTER_NETWORK_POLICIES, ref, signal);
    const ours = actual?.metadata.labels?.[LABEL_MANAGED_BY] === MANAGED_BY;
    if (devices.length === 0) {
      if (ours) await client.delete(CLUSTER_NETWORK_POLICIES, ref, { uid: actual?.metadata.uid ?? '' }, signal);
      return false;
    }
    const wanted = adminDeny(namespace, devices, broker);
    if (ours && canonicalJson(actual?.spec) === canonicalJson(wanted.spec)) return true;
    await client.apply(CLUSTER_NETWORK_POLICIES, wanted, { fieldManager: FIELD_MANAGER }, signal);
    metrics.applied(CLUSTER_NETWORK_POLICIES.plural, 'changed');
    return true;
  }

  return {
    async keep(namespace, devices, signal) {
      if (!(await isServed(signal))) return false;
      try {
        return await keep(namespace, devices, signal);
      } catch (error) {
        // The right to it is the administrator's choice (clusterNetworkPolicy.enabled of the chart).
        if (error instanceof KubeError && (error.status === 403 || error.status === 404)) return false;
        throw error;
      }
    },
  };
}

/** Discovery is open to every account (system:discovery). */
async function ask(client: Pick<KubeClient, 'raw'>, signal: AbortSignal): Promise<boolean> {
  try {
    const list = (await client.raw('GET', `/apis/${apiVersionOf(CLUSTER_NETWORK_POLICIES)}`, undefined, signal)) as {
      resources?: { name?: string }[];
    };
    return (list.resources ?? []).some(({ name }) => name === CLUSTER_NETWORK_POLICIES.plural);
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

const nameOf = (namespace: string): string => `${QUARANTINE_NAME}-${namespace}`;
const inNamespace = (namespace: string): LabelSelector => ({ matchLabels: { [NAMESPACE_NAME]: namespace } });
const labelled = (matchLabels: Record<string, string> | undefined): LabelSelector => (matchLabels === undefined ? {} : { matchLabels });
const tcp = (number: number): Protocol => ({ tcp: { destinationPort: { number } } });
const udp = (number: number): Protocol => ({ udp: { destinationPort: { number } } });
