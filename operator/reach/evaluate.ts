// What NetworkPolicies allow between two ends, by the rules of networking.k8s.io/v1: they only allow, they add up, and each direction stands for itself. Pure.
import { type AddressRange, contains } from './addresses.ts';
import { type Labels, matches } from './label-selector.ts';
import type { NetworkPolicy, Peer, PolicyPort, Rule } from './network-policy.ts';
import { type Connections, EVERYTHING, intersection, isNothing, NOTHING, ports, union } from './ports.ts';
import type { Pods } from './workload.ts';
import { labelsOfNamespace, type World } from './world.ts';

/** A range must not cross the border of any ipBlock: `partition` cuts such ranges. */
export type End = { kind: 'pods'; pods: Pods } | { kind: 'addresses'; range: AddressRange };

export interface Evaluator {
  /** Replies are implied, so `from` is who opens the connection. Pods in the network of their node are treated like all others. */
  allowed(from: End, to: End): Connections;
  /** The policies that speak about `from` and about `to`, and their rules that let the connection through: what `allowed` follows from. */
  reasons(from: End, to: End): readonly Reason[];
}

export type Direction = 'ingress' | 'egress';
/** `closed`: it has no rule and is shut all the same. Policies are `<namespace>/<name>`. */
export type Reason = {
  direction: Direction;
  closed: boolean;
  policies: readonly string[];
  rules: readonly { policy: string; path: string; connections: Connections }[];
};

/** `isClosed`: pods that are shut though no policy of this world selects them, because policies are made for them that are not in it. */
export function createEvaluator(world: World, isClosed: (pods: Pods) => boolean = () => false): Evaluator {
  const namespaces = new Map<string, Labels>();
  const namespaceLabels = (name: string): Labels => {
    const labels = namespaces.get(name) ?? labelsOfNamespace(world, name);
    namespaces.set(name, labels);
    return labels;
  };
  const byNamespace = Map.groupBy(world.policies, ({ namespace }) => namespace);
  const isolating = { ingress: new Map<Pods, NetworkPolicy[]>(), egress: new Map<Pods, NetworkPolicy[]>() };

  function policiesFor(pods: Pods, direction: Direction): NetworkPolicy[] {
    const known = isolating[direction].get(pods);
    if (known !== undefined) return known;
    const all = byNamespace.get(pods.namespace) ?? [];
    const found = all.filter((policy) => policy[direction] !== undefined && matches(policy.pods, pods.labels));
    isolating[direction].set(pods, found);
    return found;
  }

  function oneWay(direction: Direction, own: End, other: End, target: End): Connections {
    if (own.kind !== 'pods') return EVERYTHING;
    const policies = policiesFor(own.pods, direction);
    if (policies.length === 0) return isClosed(own.pods) ? NOTHING : EVERYTHING;
    let sum: Connections = NOTHING;
    for (const policy of policies) {
      for (const rule of policy[direction] ?? []) if (names(policy, rule, other)) sum = union(sum, portsOf(rule, target));
    }
    return sum;
  }

  function reason(direction: Direction, own: End, other: End, target: End): Reason {
    const policies = own.kind === 'pods' ? policiesFor(own.pods, direction) : [];
    const rules = policies.flatMap((policy) =>
      (policy[direction] ?? []).flatMap((rule, at) =>
        names(policy, rule, other)
          ? [{ policy: nameOf(policy), path: `spec.${direction}[${at}]`, connections: portsOf(rule, target) }]
          : [],
      ),
    );
    return { direction, closed: own.kind === 'pods' && isClosed(own.pods), policies: policies.map(nameOf), rules };
  }

  function names(policy: NetworkPolicy, rule: Rule, end: End): boolean {
    return rule.peers.length === 0 || rule.peers.some((peer) => isPeer(policy, peer, end));
  }

  function isPeer(policy: NetworkPolicy, peer: Peer, end: End): boolean {
    if (peer.kind === 'addresses') {
      // Addresses of pods change; an ipBlock is for what lies outside the cluster.
      return end.kind === 'addresses' && peer.ranges.some((range) => contains(range, end.range));
    }
    if (end.kind !== 'pods') return false;
    const { namespace, labels } = end.pods;
    const there = peer.namespaces === undefined ? namespace === policy.namespace : matches(peer.namespaces, namespaceLabels(namespace));
    return there && matches(peer.pods, labels);
  }

  return {
    allowed(from, to) {
      const out = oneWay('egress', from, to, to);
      return isNothing(out) ? out : intersection(out, oneWay('ingress', to, from, to));
    },
    reasons: (from, to) => [reason('egress', from, to, to), reason('ingress', to, from, to)],
  };
}

const nameOf = ({ namespace, name }: NetworkPolicy): string => `${namespace}/${name}`;

function portsOf(rule: Rule, target: End): Connections {
  if (rule.ports.length === 0) return EVERYTHING;
  return rule.ports.map((port) => portOf(port, target)).reduce(union, NOTHING);
}

function portOf({ protocol, port, endPort }: PolicyPort, target: End): Connections {
  if (port === undefined) return ports(protocol);
  if (typeof port === 'number') return ports(protocol, port, endPort ?? port);
  // A name means a port of the pods that are connected to, in the rule's protocol; outside the cluster it means nothing.
  if (target.kind !== 'pods') return NOTHING;
  return target.pods.namedPorts
    .filter((one) => one.name === port && one.protocol === protocol)
    .map((one) => ports(protocol, one.port, one.port))
    .reduce(union, NOTHING);
}
