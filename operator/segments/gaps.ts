// What the network of a cluster, or its broker, cannot enforce of a segment, said aloud in its status. Pure.
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import type { Exclusion } from '../broker/broker.ts';
import type { Standing } from '../probe/probe.ts';
import type { ActualPolicy } from './actual-policy.ts';
import { limitGaps } from './limit-gaps.ts';
import type { Model, Segment } from './model.ts';
import type { BrokerAccess } from './networkpolicy.ts';

export type Gap = NonNullable<SegmentPolicyStatus['gaps']>[number];

export type GapInput = {
  segment: Segment;
  model: Model;
  broker: BrokerAccess;
  /** The broker's text denies the segment: why. */
  excluded: Exclusion | undefined;
  /** Policies of others in its namespace that select a pod of the segment and allow something. */
  widening: readonly ActualPolicy[];
  /** Pods of the segment that use the network of their node, by name. */
  onHostNetwork: readonly string[];
  /** Whether the site has a gateway; not said: it has none. */
  gateway?: boolean;
  /** Whether canaries have shown that the network keeps NetworkPolicies. */
  networkTried?: boolean;
};

export function gapsOf(input: GapInput): Gap[] {
  const { segment } = input;
  const pods = segment.workloads.length > 0;
  return [
    ...excludedAtBroker(input),
    ...limitGaps(segment, input.broker.events === true),
    ...foreign(input),
    ...directReaders(input),
    ...withoutGateway(input),
    ...flowsWithoutPods(input),
    ...(pods
      ? [
          ...unknownBroker(input),
          ...hostNetwork(input),
          ...translated(input),
          ...podsByAddress(input),
          ...notTried(input),
          ...OF_EVERY_CLUSTER,
        ]
      : []),
  ].slice(0, MAX_GAPS);
}

/** The list's maxItems in the schema. */
const MAX_GAPS = 50;

const DENIED =
  'all topic rights of its devices: the broker denies them everything but what every device keeps; the other segments are in force';

/** The exclusion that a status speaks of. */
export function exclusionSaid(gaps: readonly Gap[] | undefined): Exclusion | undefined {
  const said = gaps?.find(({ surface, affects }) => surface === 'broker' && affects === DENIED);
  return said === undefined ? undefined : { reason: said.reason, message: said.mitigation };
}

function excludedAtBroker({ excluded }: GapInput): Gap[] {
  if (excluded === undefined) return [];
  return [
    {
      surface: 'broker',
      reason: excluded.reason,
      affects: DENIED,
      mitigation: excluded.message,
    },
  ];
}

function foreign({ widening }: GapInput): Gap[] {
  return widening.map((policy) => ({
    surface: 'network',
    reason: 'ForeignAllow',
    affects: `${directions(policy)} of pods of this segment, by NetworkPolicy ${policy.name}`,
    mitigation: `remove NetworkPolicy ${policy.name} or exclude the pods of the segment from its podSelector; NetworkPolicies add up, none can take back what another allows`,
  }));
}

const directions = ({ opens }: ActualPolicy): string =>
  [...(opens.ingress ? ['ingress'] : []), ...(opens.egress ? ['egress'] : [])].join(' and ');

function flowsWithoutPods({ segment, model }: GapInput): Gap[] {
  return segment.outgoing.flatMap((flow): Gap[] => {
    const target = model.verdicts.get(flow.to)?.segment;
    const without = [...(segment.workloads.length === 0 ? [segment.key] : []), ...(target?.workloads.length === 0 ? [flow.to] : [])];
    if (without.length === 0) return [];
    return [
      {
        surface: 'network',
        reason: 'NoWorkloads',
        affects: `conduit ${flow.conduit} to ${flow.to}: ${without.join(' and ')} has no pods that a NetworkPolicy could name`,
        mitigation:
          'name the pods in spec.workloads; devices outside the cluster are held by their certificates and topic rights at the broker',
      },
    ];
  });
}

function unknownBroker({ broker }: GapInput): Gap[] {
  if (broker.peers.length > 0) return [];
  return [
    {
      surface: 'network',
      reason: 'BrokerPeerUnknown',
      affects: 'pods of the segment cannot reach the broker: the operator was not told where it is',
      mitigation: 'start the operator with the namespace, pods or addresses of the broker',
    },
  ];
}

/** What a gateway checks and holds back is not checked for whoever takes it from the broker before the gateway has it. */
function directReaders({ segment }: GapInput): Gap[] {
  // A device that names itself reads what it has said itself.
  const direct = segment.rights.subscribe
    .map(({ topic }) => topic)
    .filter((topic) => /^(dt|spBv1\.0)\//.test(topic) && !topic.includes('{device}'));
  if (direct.length === 0) return [];
  return [
    {
      surface: 'broker',
      reason: 'DirectTelemetry',
      affects: `subscriptions to ${some(direct)}: spec.payload, its replay window and spec.egress do not hold for what is read at the broker directly`,
      mitigation:
        'let the service check what it reads, or read what a gateway publishes under agg/ and alert/; for the gateway itself it is as it should be',
    },
  ];
}

function withoutGateway({ segment, gateway }: GapInput): Gap[] {
  if (gateway === true || segment.gatewayFields.length === 0) return [];
  return [
    {
      surface: 'gateway',
      reason: 'NoGateway',
      affects: `${some(segment.gatewayFields)}: the namespace has no gateway that would keep it`,
      mitigation: `install the chart hedgerow-edge in the namespace; until then nothing leaves the site by Hedgerow, and payloads are not checked`,
    },
  ];
}

function hostNetwork({ onHostNetwork }: GapInput): Gap[] {
  if (onHostNetwork.length === 0) return [];
  return [
    {
      surface: 'network',
      reason: 'HostNetwork',
      affects: `pods with hostNetwork: ${some(onHostNetwork)}; no NetworkPolicy holds for them, in either direction`,
      mitigation: 'run them without hostNetwork (Pod Security level baseline keeps such pods out of the namespace)',
    },
  ];
}

/** Whether an ipBlock is compared before or after addresses are translated is undefined (kubernetes.io, NetworkPolicy, "ipBlock"). */
function translated({ segment, broker }: GapInput): Gap[] {
  const ranges = [...segment.outside.map(({ cidr }) => cidr), ...broker.peers.flatMap((peer) => ('cidr' in peer ? peer.cidr : []))];
  if (ranges.length === 0) return [];
  return [
    {
      surface: 'network',
      reason: 'AddressTranslation',
      affects: `conduits and ways to the broker by address (${some([...new Set(ranges)].sort())}): a Service or NAT on the way may change the address before or after it is compared`,
      mitigation:
        'name addresses as the pod sees them on the wire, and the broker by namespace and pod labels where it runs in the cluster',
    },
  ];
}

/** An ipBlock is for what lies outside the cluster; what it is for pods is not defined, and kube-router compares their addresses too (docs/guides/real-nodes.md). */
function podsByAddress({ segment }: GapInput): Gap[] {
  if (segment.outside.length === 0) return [];
  const ranges = segment.outside.map(({ cidr }) => cidr);
  return [
    {
      surface: 'network',
      reason: 'PodsByAddress',
      affects: `conduits to ${some([...new Set(ranges)].sort())}: where the network compares addresses of pods too, as k3s does, they lead to every pod in the range that does not shut itself`,
      mitigation: 'name ranges that hold no addresses of pods, or shut the namespaces that are in them with the label hedgerow.dev/site',
    },
  ];
}

/** What a sentence names, within the 1,024 characters of its field: a pod has a name of 253 at most, a topic of 512. */
const MOST_CHARACTERS = 700;
function some(names: readonly string[]): string {
  let left = MOST_CHARACTERS;
  const shown = names.filter((name) => {
    left -= name.length + 2;
    return left >= 0;
  });
  return shown.join(', ') + (shown.length < names.length ? ` and ${names.length - shown.length} more` : '');
}

const NOT_PROBED = 'NotProbed';

function notTried({ networkTried }: GapInput): Gap[] {
  if (networkTried === true) return [];
  return [
    {
      surface: 'network',
      reason: NOT_PROBED,
      affects: 'all conduits and denials of pods: whether the network of this cluster enforces NetworkPolicies was not tried',
      mitigation:
        'use a network plugin that enforces NetworkPolicies, and set networkProbe.enabled in the chart, or try a connection that must fail',
    },
  ];
}

/** Nothing was tried since the operator started: what the status says of it holds. */
export function isNetworkTried(probe: Standing, said: readonly Gap[] | undefined): boolean {
  if (probe.state !== 'pending') return probe.state === 'passed';
  return said !== undefined && said.length > 0 && !said.some(({ surface, reason }) => surface === 'network' && reason === NOT_PROBED);
}

/** NetworkPolicy v1 leaves these to nobody (kubernetes.io, "What you can't do with network policies"). */
const OF_EVERY_CLUSTER: Gap[] = [
  {
    surface: 'network',
    reason: 'ExistingConnections',
    affects: 'connections that were open before a conduit was taken away may stay open (kubernetes/website#43438)',
    mitigation: 'restart the pods after taking a conduit away',
  },
  {
    surface: 'network',
    reason: 'NodeLocalTraffic',
    affects:
      'what comes from the node of a pod reaches it whatever is denied: probes, pods with hostNetwork, and what is given the address of the node on its way (NodePort)',
    mitigation:
      'keep pods with hostNetwork out of the cluster where they are not needed; set externalTrafficPolicy: Local on Services that lead to pods of segments',
  },
  {
    surface: 'network',
    reason: 'PodStartRace',
    affects: 'a pod may run for a moment before its NetworkPolicies are in place, as on k3s (k3s-io/k3s#13432)',
    mitigation:
      'start kube-router 2.10 or newer with --netpol-default-deny, or give pods an init container that waits until a connection that must fail does',
  },
];
