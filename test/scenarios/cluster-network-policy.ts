// The kind ClusterNetworkPolicy of network-policy-api (v1alpha2) as far as ours uses it, with the limits and choices of its types: unknown fields are pruned, and a peer has one field.
import { CLUSTER_NETWORK_POLICIES } from '../../operator/api/resources.ts';

const one = (properties: object) => ({ type: 'object', properties, minProperties: 1, maxProperties: 1 });
const selector = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const pods = {
  type: 'object',
  properties: { namespaceSelector: selector, podSelector: selector },
  required: ['namespaceSelector', 'podSelector'],
};
const port = one({ number: { type: 'integer', minimum: 1, maximum: 65_535 } });
const withPort = { type: 'object', properties: { destinationPort: port }, minProperties: 1 };
const list = (items: object) => ({ type: 'array', items, minItems: 1, maxItems: 25 });
const rule = (direction: 'from' | 'to', peer: object) => ({
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 100 },
    action: { type: 'string', enum: ['Accept', 'Deny', 'Pass'] },
    [direction]: list(peer),
    protocols: list(one({ tcp: withPort, udp: withPort, sctp: withPort })),
  },
  required: ['action', direction],
});
const networks = list({ type: 'string', maxLength: 43 });
const spec = {
  type: 'object',
  properties: {
    tier: { type: 'string', enum: ['Admin', 'Baseline'] },
    priority: { type: 'integer', minimum: 0, maximum: 1000 },
    subject: one({ namespaces: selector, pods }),
    ingress: { type: 'array', maxItems: 25, items: rule('from', one({ namespaces: selector, pods })) },
    egress: { type: 'array', maxItems: 25, items: rule('to', one({ namespaces: selector, pods, networks })) },
  },
  required: ['tier', 'priority', 'subject'],
};

export const CLUSTER_NETWORK_POLICY_CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `${CLUSTER_NETWORK_POLICIES.plural}.${CLUSTER_NETWORK_POLICIES.group}`,
    // The group is a protected one: a definition in it names where it was agreed upon.
    annotations: { 'api-approved.kubernetes.io': 'unapproved, a copy for tests' },
  },
  spec: {
    group: CLUSTER_NETWORK_POLICIES.group,
    scope: 'Cluster',
    names: { kind: CLUSTER_NETWORK_POLICIES.kind, plural: CLUSTER_NETWORK_POLICIES.plural, singular: 'clusternetworkpolicy' },
    versions: [
      {
        name: CLUSTER_NETWORK_POLICIES.version,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', properties: { spec }, required: ['spec'] } },
      },
    ],
  },
};
