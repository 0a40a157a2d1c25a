// What a set of NetworkPolicies really allows between pods, straight from the words of the API reference. Shares no code with what emits them.
import type { LabelSelector } from '../../api/segment-policy.ts';
import type { NetworkPolicy, PolicyPeer, PolicyPort } from '../networkpolicy.ts';

export type Pod = { name: string; namespace: string; labels: Record<string, string> };
export type Connection = { from: Pod; to: Pod; protocol: string; port: number };

export function allows(policies: readonly NetworkPolicy[], { from, to, protocol, port }: Connection): boolean {
  const egress = policies.filter((policy) => appliesTo(policy, from, 'Egress'));
  const ingress = policies.filter((policy) => appliesTo(policy, to, 'Ingress'));
  const out =
    egress.length === 0 ||
    egress.some(({ spec, metadata }) =>
      (spec.egress ?? []).some((rule) => matches(rule.to, rule.ports, to, metadata.namespace, protocol, port)),
    );
  const into =
    ingress.length === 0 ||
    ingress.some(({ spec, metadata }) =>
      (spec.ingress ?? []).some((rule) => matches(rule.from, rule.ports, from, metadata.namespace, protocol, port)),
    );
  return out && into;
}

function appliesTo({ spec, metadata }: NetworkPolicy, pod: Pod, direction: 'Ingress' | 'Egress'): boolean {
  const types = spec.policyTypes ?? ((spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress']);
  return metadata.namespace === pod.namespace && types.includes(direction) && isSelected(spec.podSelector ?? {}, pod.labels);
}

function matches(
  peers: PolicyPeer[] | undefined,
  ports: PolicyPort[] | undefined,
  pod: Pod,
  home: string,
  protocol: string,
  port: number,
): boolean {
  const everybody = peers === undefined || peers.length === 0;
  const anyPort = ports === undefined || ports.length === 0;
  return (
    (everybody || peers.some((peer) => isPeer(peer, pod, home))) &&
    (anyPort || ports.some((one) => (one.protocol ?? 'TCP') === protocol && one.port === port))
  );
}

function isPeer(peer: PolicyPeer, pod: Pod, home: string): boolean {
  if (peer.ipBlock !== undefined) return false;
  const inNamespace =
    peer.namespaceSelector === undefined
      ? pod.namespace === home
      : isSelected(peer.namespaceSelector, { 'kubernetes.io/metadata.name': pod.namespace });
  return inNamespace && isSelected(peer.podSelector ?? {}, pod.labels);
}

export function isSelected(selector: LabelSelector, labels: Record<string, string>): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (labels[key] !== value) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const has = Object.hasOwn(labels, key);
    if (operator === 'Exists' && !has) return false;
    if (operator === 'DoesNotExist' && has) return false;
    if (operator === 'In' && !values.includes(labels[key] ?? '\0')) return false;
    if (operator === 'NotIn' && has && values.includes(labels[key] ?? '')) return false;
  }
  return true;
}
