// The whole relation of a world: who may open which connection to whom, a line for each pair, in the words of np-guard's netpol-analyzer.
import { type AddressRange, partition, rangeText, wholeFamily } from './addresses.ts';
import { createEvaluator, type End } from './evaluate.ts';
import type { Peer, Rule } from './network-policy.ts';
import { type Connections, connectionsText, isNothing, union } from './ports.ts';
import type { Pods } from './workload.ts';
import type { World } from './world.ts';

/** One workload (all pods of one owner), or a range of addresses outside the cluster. */
export type Party = { text: string; range: AddressRange | undefined };
export type Connection = { from: Party; to: Party; connections: Connections };

/** Every pair that may connect, without a workload to itself. Pods of one owner that policies tell apart count together: what one of them may. */
export function connectionsOf(world: World, isClosed?: (pods: Pods) => boolean): Connection[] {
  const evaluator = createEvaluator(world, isClosed);
  const classes = classesOf(world.pods);
  const sources = [...classes, ...outside(world, 'ingress')];
  const targets = [...classes, ...outside(world, 'egress')];
  const relation = new Map<string, Connection>();
  for (const source of sources) {
    for (const target of targets) {
      if (source.end.kind === 'addresses' && target.end.kind === 'addresses') continue;
      const connections = evaluator.allowed(source.end, target.end);
      if (isNothing(connections)) continue;
      for (const from of source.parties) {
        for (const to of target.parties) if (from.text !== to.text) add(relation, from, to, connections);
      }
    }
  }
  return [...relation.values()];
}

/** Sorted, a line each, with a line end after the last one; empty when nobody may connect to anybody. */
export function connectionsList(relation: readonly Connection[]): string {
  const lines = relation.map(({ from, to, connections }) => `${from.text} => ${to.text} : ${connectionsText(connections)}\n`);
  return lines.sort(byCodeUnits).join('');
}

export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export const workloadText = ({ namespace, owner }: Pods): string => `${namespace}/${owner.name}[${owner.kind}]`;

export function rangeParty(range: AddressRange): Party {
  return { text: `${rangeText(range)}[External]`, range };
}

type Class = { end: End; parties: Party[] };

/** Pods that are the same for every policy are evaluated once. */
function classesOf(pods: readonly Pods[]): Class[] {
  const groups = Map.groupBy(pods, ({ namespace, labels, namedPorts }) =>
    JSON.stringify([namespace, [...labels].sort(([a], [b]) => byCodeUnits(a, b)), namedPorts]),
  );
  return [...groups.values()].map((alike) => ({
    end: { kind: 'pods', pods: alike[0] as Pods },
    parties: [...new Set(alike.map(workloadText))].map((text) => ({ text, range: undefined })),
  }));
}

/** What lies outside the cluster, cut as far as rules of this direction tell it apart. IPv6 only where a rule speaks of it. */
function outside(world: World, direction: 'ingress' | 'egress'): Class[] {
  const ranges = world.policies.flatMap((policy) => (policy[direction] ?? []).flatMap(rangesOf));
  const families = ranges.some(({ family }) => family === 6) ? ([4, 6] as const) : ([4] as const);
  return families
    .flatMap((family) => partition(family, [wholeFamily(family), ...ranges]))
    .map((range) => ({ end: { kind: 'addresses', range }, parties: [rangeParty(range)] }));
}

function rangesOf(rule: Rule): AddressRange[] {
  return rule.peers.flatMap((peer: Peer) => (peer.kind === 'addresses' ? peer.ranges : []));
}

function add(relation: Map<string, Connection>, from: Party, to: Party, connections: Connections): void {
  const key = `${from.text} ${to.text}`;
  const before = relation.get(key);
  if (before === undefined) relation.set(key, { from, to, connections });
  else before.connections = union(before.connections, connections);
}
