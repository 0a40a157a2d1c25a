// What the network of a cluster cannot enforce of a segment, said aloud in its status. Pure.
import type { SegmentPolicyStatus } from '../api/segment-policy.ts';
import type { Exclusion } from '../broker/broker.ts';
import type { ActualPolicy } from './actual-policy.ts';
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
};

export function gapsOf(input: GapInput): Gap[] {
  const { segment } = input;
  const pods = segment.workloads.length > 0;
  return [
    ...excludedAtBroker(input),
    ...foreign(input),
    ...flowsWithoutPods(input),
    ...(pods ? [...unknownBroker(input), ...OF_EVERY_CLUSTER] : []),
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

/** NetworkPolicy v1 leaves these to nobody (kubernetes.io, "What you can't do with network policies"). */
const OF_EVERY_CLUSTER: Gap[] = [
  {
    surface: 'network',
    reason: 'NotProbed',
    affects: 'all conduits and denials of pods: whether the network of this cluster enforces NetworkPolicies was not tried',
    mitigation: 'use a network plugin that enforces NetworkPolicies, and try a connection that must fail',
  },
  {
    surface: 'network',
    reason: 'ExistingConnections',
    affects: 'connections that were open before a conduit was taken away may stay open (kubernetes/website#43438)',
    mitigation: 'restart the pods after taking a conduit away',
  },
  {
    surface: 'network',
    reason: 'HostNetwork',
    affects: 'pods with hostNetwork and traffic from the own node are outside NetworkPolicies',
    mitigation: 'keep hostNetwork pods out of the namespaces of segments (Pod Security level baseline)',
  },
];
