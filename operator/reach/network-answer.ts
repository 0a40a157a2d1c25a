// By the network: do NetworkPolicies let one open a connection to the other, and which of them say so or are missing. Pure.
import { type AddressRange, contains, partition, rangeOf } from './addresses.ts';
import type { End, Evaluator, Reason } from './evaluate.ts';
import { ANY, type Answer, type Grant } from './intent-grants.ts';
import type { Party } from './intent-party.ts';
import type { NetworkPolicy } from './network-policy.ts';
import { type Connections, connectionsText, intersection, isNothing, isProtocol, NOTHING, ports } from './ports.ts';
import type { Survey } from './survey.ts';

export type NetworkQuestion = {
  from: Party;
  to: Party;
  /** `TCP 8883`, or ANY. */
  port: string;
};

/** The answer for all ends that the two may be: one open pair is enough. Undefined where there are no pods to speak of, as of devices in the field. */
export function networkAnswer(survey: Survey, evaluator: Evaluator, { from, to, port }: NetworkQuestion): Answer | undefined {
  const [sources, targets] = [endsOf(from, survey), endsOf(to, survey)];
  if (![...sources, ...targets].some(({ end }) => end.kind === 'pods') || sources.length === 0 || targets.length === 0) return undefined;
  const missing = new Set<string>();
  for (const a of sources) {
    for (const b of targets) {
      if (a.text === b.text && a.end.kind === 'pods' && sources.length > 1) continue;
      const reasons = evaluator.reasons(a.end, b.end);
      if (!isNothing(matching(evaluator.allowed(a.end, b.end), port)))
        return { allowed: true, grants: reasons.flatMap((reason) => proofOf(reason, a, b, port)), missing: [] };
      if (missing.size < MOST_NAMED) for (const line of reasons.flatMap((reason) => missingOf(reason, a, b, port))) missing.add(line);
    }
  }
  return { allowed: false, grants: [], missing: [...missing] };
}

const MOST_NAMED = 6;
type NamedEnd = { text: string; end: End };

function endsOf(party: Party, survey: Survey): NamedEnd[] {
  if ('address' in party) {
    const whole = rangeOf(party.address);
    return whole === undefined ? [] : rangesOf(whole, survey).map((range) => ({ text: party.address, end: { kind: 'addresses', range } }));
  }
  return podsOf(party, survey).flatMap((key): NamedEnd[] => {
    const pods = survey.facts.pods.get(key);
    return pods === undefined ? [] : [{ text: key, end: { kind: 'pods', pods } }];
  });
}

/** The pods that a party is, each as `<namespace>/<name>[<kind>]`: itself, those of the segment, or that of the device. */
export function podsOf(party: Party, { podsPlaces, facts }: Survey): string[] {
  if ('pods' in party) return [party.pods];
  if ('segment' in party)
    return [...podsPlaces].flatMap(([key, { zones }]) => (zones.some((zone) => zone.key === party.segment) ? [key] : []));
  const wireName = 'device' in party ? facts.devices.get(party.device)?.wireName : undefined;
  return wireName === undefined ? [] : [...podsPlaces].flatMap(([key, place]) => (place.wireName === wireName ? [key] : []));
}

/** Cut where a policy cuts: the evaluator takes no range that crosses the border of an ipBlock. */
function rangesOf(whole: AddressRange, { world }: Survey): AddressRange[] {
  const cuts = world.policies.flatMap(blocksOf);
  return partition(whole.family, [whole, ...cuts]).filter((range) => contains(whole, range));
}

function blocksOf({ ingress, egress }: NetworkPolicy): AddressRange[] {
  return [...(ingress ?? []), ...(egress ?? [])].flatMap(({ peers }) =>
    peers.flatMap((peer) => (peer.kind === 'addresses' ? peer.ranges : [])),
  );
}

export function matching(connections: Connections, port: string): Connections {
  if (port === ANY) return connections;
  const [protocol = '', number] = port.split(' ');
  return isProtocol(protocol) ? intersection(connections, ports(protocol, Number(number), Number(number))) : NOTHING;
}

function proofOf(reason: Reason, from: NamedEnd, to: NamedEnd, port: string): Grant[] {
  const { direction, policies, rules } = reason;
  const own = direction === 'egress' ? from : to;
  if (own.end.kind === 'addresses') return [];
  if (policies.length === 0)
    return [{ policy: own.text, path: direction, value: `no NetworkPolicy selects it, so all ${direction} is open` }];
  const rule = rules.find(({ connections }) => !isNothing(matching(connections, port)));
  if (rule === undefined) return [];
  return [
    { policy: `NetworkPolicy ${rule.policy}`, path: rule.path, value: `${from.text} => ${to.text} : ${connectionsText(rule.connections)}` },
  ];
}

function missingOf(reason: Reason, from: NamedEnd, to: NamedEnd, port: string): string[] {
  const { direction, closed, policies, rules } = reason;
  const own = direction === 'egress' ? from : to;
  if (own.end.kind === 'addresses' || rules.some(({ connections }) => !isNothing(matching(connections, port)))) return [];
  if (policies.length === 0 && !closed) return [];
  const asked = `${from.text} => ${to.text}${port === ANY ? '' : ` : ${port}`}`;
  if (policies.length === 0)
    return [`its segment or site shuts ${own.text}, and no other NetworkPolicy has a rule of ${direction} for ${asked}`];
  return [`${policies.map((policy) => `NetworkPolicy ${policy}`).join(', ')}: no rule of ${direction} lets ${asked} through`];
}
