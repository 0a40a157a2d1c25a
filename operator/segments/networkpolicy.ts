// A segment of the model -> NetworkPolicies v1: a deny for its pods, and what its conduits allow. Pure.
// NetworkPolicy only allows: a pod that a policy selects is closed in that direction but for what some policy allows.

import type { ObjectMeta } from '../api/meta.ts';
import { LABEL_DEVICE, LABEL_MANAGED_BY, MANAGED_BY } from '../api/names.ts';
import { apiVersionOf, NETWORK_POLICIES } from '../api/resources.ts';
import type { LabelSelector } from '../api/segment-policy.ts';
import type { Model, Port, Segment } from './model.ts';
import { digest } from './selector.ts';

export type PolicyPeer = { podSelector?: LabelSelector; namespaceSelector?: LabelSelector; ipBlock?: { cidr: string; except?: string[] } };
export type PolicyPort = { protocol?: string; port?: number | string; endPort?: number };
export type PolicySpec = {
  podSelector?: LabelSelector;
  policyTypes?: ('Ingress' | 'Egress')[];
  ingress?: { from?: PolicyPeer[]; ports?: PolicyPort[] }[];
  egress?: { to?: PolicyPeer[]; ports?: PolicyPort[] }[];
};
export type NetworkPolicy = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta & { name: string; namespace: string };
  spec: PolicySpec;
};

export type Role = 'deny' | 'allow-in' | 'allow-out' | 'site-deny' | 'quarantine';

/** Where the broker is, for the egress of every segment. */
export type BrokerPeer = { namespace: string; podLabels?: Record<string, string> } | { cidr: string };
/** `events`: it tells the operator of denials and connects. */
export type BrokerAccess = { port: number; peers: readonly BrokerPeer[]; events?: boolean };

/** On every NetworkPolicy of ours but the site's: the SegmentPolicy in the same namespace that it belongs to. */
export const LABEL_SEGMENT = 'hedgerow.dev/segment';
export const LABEL_ROLE = 'hedgerow.dev/role';
const ANNOTATION_SPEC_HASH = 'hedgerow.dev/spec-hash';
export const NAME_PREFIX = 'hedgerow-';
export const SITE_DENY_NAME = 'hedgerow-site-deny';
export const QUARANTINE_NAME = 'hedgerow-quarantine';
/** Set by every API server on every namespace since 1.22 (KEP-2161). */
export const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

/** Denies first, in the order in which they must be made: nothing is allowed before the rest is shut. `shut`: Devices of the namespace whose pods get nothing of it. */
export function networkPoliciesOf(segment: Segment, model: Model, broker: BrokerAccess, shut: readonly string[] = []): NetworkPolicy[] {
  const ingress = ingressOf(segment, model);
  const egress = egressOf(segment, model, broker);
  const denies = segment.workloads.map((selector) => denyPolicy(segment.namespace, segment.name, selector));
  const allows = segment.workloads.flatMap((selector) => [
    ...(ingress.length === 0 ? [] : [policyFor(segment, selector, 'allow-in', { policyTypes: ['Ingress'], ingress, egress: [] }, shut)]),
    policyFor(segment, selector, 'allow-out', { policyTypes: ['Egress'], ingress: [], egress }, shut),
  ]);
  return [...denies, ...allows];
}

/** Shuts the pods of one workload in both directions. The lists are there, though empty: what somebody else puts into them is taken over and emptied. */
export function denyPolicy(namespace: string, segment: string, selector: LabelSelector): NetworkPolicy {
  return policyFor({ namespace, name: segment }, selector, 'deny', { policyTypes: ['Ingress', 'Egress'], ingress: [], egress: [] });
}

/** Shuts every pod of a namespace that its administrator labelled as a site. Belongs to no policy. */
export function siteDeny(namespace: string): NetworkPolicy {
  return build(
    namespace,
    SITE_DENY_NAME,
    { [LABEL_ROLE]: 'site-deny' },
    { podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [], egress: [] },
  );
}

/** For the pods of Devices in quarantine: DNS and the broker, where they keep their recovery topics. What their segments allow excludes them; a sum has no other way to take away. */
export function quarantinePolicy(namespace: string, devices: readonly string[], broker: BrokerAccess): NetworkPolicy {
  const podSelector = { matchExpressions: [{ key: LABEL_DEVICE, operator: 'In' as const, values: [...devices] }] };
  const egress = [DNS, ...brokerEgress(broker)];
  return build(
    namespace,
    QUARANTINE_NAME,
    { [LABEL_ROLE]: 'quarantine' },
    { podSelector, policyTypes: ['Ingress', 'Egress'], ingress: [], egress },
  );
}

export function nameOf(namespace: string, segment: string, selector: LabelSelector, role: Role): string {
  // 28 + 10 hex digits keep it within the 63 characters of a label, whatever the names are.
  return `${NAME_PREFIX}${segment.slice(0, 28)}-${digest([namespace, segment, selector], 10)}-${role}`;
}

function policyFor(
  segment: Pick<Segment, 'namespace' | 'name'>,
  selector: LabelSelector,
  role: Role,
  rest: Omit<PolicySpec, 'podSelector'>,
  shut: readonly string[] = [],
): NetworkPolicy {
  const labels = { [LABEL_SEGMENT]: segment.name, [LABEL_ROLE]: role };
  const podSelector = without(selector, shut);
  return build(segment.namespace, nameOf(segment.namespace, segment.name, selector, role), labels, { podSelector, ...rest });
}

/** NotIn also selects what has no such label (apimachinery): pods that are no Device. */
function without(selector: LabelSelector, devices: readonly string[]): LabelSelector {
  if (devices.length === 0) return selector;
  const exclusion = { key: LABEL_DEVICE, operator: 'NotIn' as const, values: [...devices] };
  return { ...selector, matchExpressions: [...(selector.matchExpressions ?? []), exclusion] };
}

function build(namespace: string, name: string, labels: Record<string, string>, spec: PolicySpec): NetworkPolicy {
  return {
    apiVersion: apiVersionOf(NETWORK_POLICIES),
    kind: NETWORK_POLICIES.kind,
    metadata: {
      name,
      namespace,
      labels: { [LABEL_MANAGED_BY]: MANAGED_BY, ...labels },
      annotations: { [ANNOTATION_SPEC_HASH]: digest(spec, 16) },
    },
    spec,
  };
}

function ingressOf(segment: Segment, model: Model): NonNullable<PolicySpec['ingress']> {
  const rules = segment.incoming.flatMap((flow) => {
    const from = podsOf(model, flow.from);
    // An empty list of peers would mean everybody.
    return from.length === 0 ? [] : [{ sort: `${flow.from} ${flow.conduit}`, from, ports: portsOf(flow.ports) }];
  });
  const own = segment.open && segment.workloads.length > 0 ? [{ from: peersOf(segment) }] : [];
  return [...own, ...rules.sort((a, b) => (a.sort < b.sort ? -1 : 1)).map(({ from, ports }) => ({ from, ports }))];
}

function egressOf(segment: Segment, model: Model, broker: BrokerAccess): NonNullable<PolicySpec['egress']> {
  const own = segment.open && segment.workloads.length > 0 ? [{ to: peersOf(segment) }] : [];
  const flows = segment.outgoing.flatMap((flow) => {
    const to = podsOf(model, flow.to);
    return to.length === 0 ? [] : [{ to, ports: portsOf(flow.ports) }];
  });
  const outside = segment.outside.map((flow) => ({ to: [{ ipBlock: { cidr: flow.cidr } }], ports: portsOf(flow.ports) }));
  return [DNS, ...brokerEgress(broker), ...own, ...flows, ...outside];
}

/** The cluster's DNS and no other: names are needed to reach the broker, and any other resolver would be a way out. */
export const DNS_PODS = {
  namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: 'kube-system' } },
  podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
};
const DNS = {
  to: [DNS_PODS],
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
};

function brokerEgress({ port, peers }: BrokerAccess): NonNullable<PolicySpec['egress']> {
  if (peers.length === 0) return [];
  const to = peers.map((peer) =>
    'cidr' in peer
      ? { ipBlock: { cidr: peer.cidr } }
      : {
          namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: peer.namespace } },
          podSelector: peer.podLabels === undefined ? {} : { matchLabels: peer.podLabels },
        },
  );
  return [{ to, ports: [{ protocol: 'TCP', port }] }];
}

function podsOf(model: Model, key: string): PolicyPeer[] {
  const segment = model.verdicts.get(key)?.segment;
  return segment === undefined ? [] : peersOf(segment);
}

/** Namespace and pods in one item: both must hold. */
function peersOf(segment: Segment): PolicyPeer[] {
  return segment.workloads.map((podSelector) => ({
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: segment.namespace } },
    podSelector,
  }));
}

const portsOf = (ports: readonly Port[]): PolicyPort[] => ports.map(({ protocol, port }) => ({ protocol, port }));
