// All that is between segments, pods and addresses, as a graph: what change, blast radius, invariants and pictures are made of. Pure.
import { type AddressRange, parseCidr, rangeText } from './addresses.ts';
import type { BrokerWay } from './broker-fleet.ts';
import { byCodeUnits, type Connection, connectionsOf, workloadText } from './connections.ts';
import { activeMembers } from './intent-facts.ts';
import type { Standing } from './intent-grants.ts';
import { portWords } from './intent-relation.ts';
import { isObject } from './label-selector.ts';
import { connectionsText } from './ports.ts';
import type { Survey } from './survey.ts';
import type { Verifier } from './verifier.ts';

export type Asked = Pick<Verifier, 'survey' | 'fleet'>;

/** `text` is unique: `berlin/sensors`, `shop/web[Deployment]`, `10.0.0.0/8` or `10.0.0.0-10.0.0.9`. */
export type Node = { text: string; namespace: string | undefined; segments: readonly SegmentNode[] } & (
  | { kind: 'segment'; name: string }
  | { kind: 'pods'; name: string }
  | { kind: 'addresses'; range: AddressRange }
);
export type SegmentNode = { key: string; namespace: string; name: string; trust: number; function: string | undefined; devices: number };

/**
 * `by` SegmentPolicies: what they grant, `ports` such as `TCP 8883`, topics with {publisher} and {subscriber}. `by` NetworkPolicies: what those let through, between pods and addresses.
 * `by` Broker: topics by the broker's own rules; where those were read, SegmentPolicies stand for ports alone.
 */
export type Arrow = {
  from: Node;
  to: Node;
  ports: readonly string[];
  topics: readonly string[];
  by: 'SegmentPolicies' | 'NetworkPolicies' | 'Broker';
  /** Of the broker alone: its rules that let it, whether that is not certain, and whether SegmentPolicies grant it too. */
  rules?: Pick<BrokerWay, 'grants' | 'unsure' | 'meant'>;
};

/** `nodes`: every segment in force and all pods, also those without any arrow; of segments that are not, those with devices that something reaches at the broker. */
export type Graph = { segments: readonly SegmentNode[]; nodes: readonly Node[]; arrows: readonly Arrow[] };

/** Sorted, each pair once for SegmentPolicies and once for NetworkPolicies; for the broker once for what is alike. */
export function graphOf({ survey, fleet }: Asked): Graph {
  const ways = fleet()?.ways();
  const segments = segmentsOf(survey);
  for (const key of (ways ?? []).flatMap(({ from, to }) => [from, to])) if (!segments.has(key)) segments.set(key, notInForce(key, survey));
  const nodes = new Map([...segments].map(([key, segment]) => [key, segmentNode(segment)]));
  const pods = podsNodes(survey, segments);
  return {
    segments: [...segments.values()].sort((a, b) => byCodeUnits(a.key, b.key)),
    nodes: [...nodes.values(), ...pods.values()],
    arrows: [
      ...granted(survey, nodes).flatMap((arrow) => (ways === undefined ? [arrow] : byPorts(arrow))),
      ...(ways ?? []).flatMap((way) => atBroker(way, nodes)),
      ...letThrough(survey, pods),
    ].sort(compareArrows),
  };
}

const byPorts = (arrow: Arrow): Arrow[] => (arrow.ports.length === 0 ? [] : [{ ...arrow, topics: [] }]);

function atBroker({ from, to, topics, grants, unsure, meant }: BrokerWay, nodes: ReadonlyMap<string, Node>): Arrow[] {
  const [a, b] = [nodes.get(from), nodes.get(to)];
  return a === undefined || b === undefined ? [] : [{ from: a, to: b, ports: [], topics, by: 'Broker', rules: { grants, unsure, meant } }];
}

/** Nobody says what its devices may, so they are trusted with nothing. */
export function notInForce(key: string, { facts }: Survey): SegmentNode {
  const [namespace = '', name = ''] = key.split('/');
  const devices = [...facts.devices.values()].filter(({ segment }) => segment === key).length;
  return { key, namespace, name, trust: 0, function: undefined, devices };
}

export const segmentNode = (segment: SegmentNode): Node => ({
  ...{ kind: 'segment', text: segment.key, namespace: segment.namespace, name: segment.name },
  segments: [segment],
});

function segmentsOf({ relation, facts, lifecycles }: Survey): Map<string, SegmentNode> {
  const members = activeMembers(facts, lifecycles);
  return new Map(
    [...relation.standings.values()].map((zone) => {
      const written = facts.policies.get(zone.key)?.object.spec;
      const purpose = isObject(written) && typeof written.function === 'string' ? written.function : undefined;
      return [
        zone.key,
        { key: zone.key, ...nameOf(zone), trust: zone.trust, function: purpose, devices: members.get(zone.key)?.size ?? 0 },
      ];
    }),
  );
}

const nameOf = ({ namespace, key }: Standing): { namespace: string; name: string } => ({
  namespace,
  name: key.slice(namespace.length + 1),
});

function granted({ relation }: Survey, nodes: ReadonlyMap<string, Node>): Arrow[] {
  const nodeOf = (key: string): Node[] => {
    const node = nodes.get(key);
    return node === undefined ? [] : [node];
  };
  const inside = [...relation.pairs.values()].flatMap(({ from, to, ports, passages }) => {
    const topics = [...new Set(passages.map(({ topic }) => topic))].sort(byCodeUnits);
    return nodeOf(from).flatMap((a) =>
      nodeOf(to).map((b): Arrow => ({ from: a, to: b, ports: portWords(ports), topics, by: 'SegmentPolicies' })),
    );
  });
  const byTarget = Map.groupBy(relation.outside, ({ from, cidr }) => `${from} ${cidr}`);
  const leaving = [...byTarget.values()].flatMap((ways) => {
    const [first] = ways;
    const range = first === undefined ? undefined : parseCidr(first.cidr);
    if (first === undefined || range === undefined) return [];
    const ports = [...new Set(ways.flatMap((way) => way.ports))].sort(byCodeUnits);
    const to: Node = { kind: 'addresses', text: first.cidr, namespace: undefined, segments: [], range };
    return nodeOf(first.from).map((from): Arrow => ({ from, to, ports, topics: [], by: 'SegmentPolicies' }));
  });
  return [...inside, ...leaving];
}

/** By `<namespace>/<name>[<kind>]` of what makes them. */
function podsNodes({ facts, podsPlaces }: Survey, segments: ReadonlyMap<string, SegmentNode>): Map<string, Node> {
  const nodes = new Map<string, Node>();
  for (const [key, pods] of facts.pods) {
    const text = workloadText(pods);
    const own = (podsPlaces.get(key)?.zones ?? []).flatMap((zone) => segments.get(zone.key) ?? []);
    const before = nodes.get(text)?.segments ?? [];
    nodes.set(text, { kind: 'pods', text, namespace: pods.namespace, name: pods.owner.name, segments: [...new Set([...before, ...own])] });
  }
  return nodes;
}

function letThrough(survey: Survey, nodes: ReadonlyMap<string, Node>): Arrow[] {
  const nodeOf = ({ text, range }: Connection['from']): Node | undefined =>
    range === undefined ? nodes.get(text) : { kind: 'addresses', text: rangeText(range), namespace: undefined, segments: [], range };
  return connectionsOf(survey.world, survey.isClosed).flatMap(({ from, to, connections }) => {
    const [a, b] = [nodeOf(from), nodeOf(to)];
    return a === undefined || b === undefined
      ? []
      : [{ from: a, to: b, ports: [connectionsText(connections)], topics: [], by: 'NetworkPolicies' as const }];
  });
}

const compareArrows = (a: Arrow, b: Arrow): number =>
  // SegmentPolicies first, the broker last.
  -byCodeUnits(a.by, b.by) || byCodeUnits(a.from.text, b.from.text) || byCodeUnits(a.to.text, b.to.text);
