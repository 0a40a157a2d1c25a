// Which invariants a fleet breaks, by whom, and which texts let it. Pure.
import { type AddressRange, parseCidr, rangeText, subtract } from './addresses.ts';
import { type Arrow, type Graph, graphOf, type Node, notInForce, type SegmentNode, segmentNode } from './arrows.ts';
import { byCodeUnits, workloadText } from './connections.ts';
import { common } from './intent-filter.ts';
import type { Grant } from './intent-grants.ts';
import type { Party } from './intent-party.ts';
import type { Invariant, Via, Who } from './invariant.ts';
import type { Verifier } from './verifier.ts';

/** `what`: ports, or topics. */
export type Violation = {
  from: string;
  to: string;
  what: string;
  proof: readonly Grant[];
  /** It rests on rules of the broker that are not understood. */
  unsure?: true;
};
/** `nobody`: names of the invariant that nothing has; what names nobody is kept by not being looked at. */
export type Checked = { name: string; violations: readonly Violation[]; nobody: readonly string[] };

export function checkInvariants(verifier: Verifier, invariants: readonly Invariant[]): Checked[] {
  const graph = graphOf(verifier);
  return invariants.map((invariant) => ({
    name: invariant.name,
    violations: invariant.kind === 'topic' ? topicViolations(verifier, graph, invariant) : arrowViolations(verifier, graph, invariant),
    nobody: namesNobody(graph, invariant),
  }));
}

function namesNobody({ nodes }: Graph, invariant: Invariant): string[] {
  const named = invariant.kind === 'topic' ? invariant.who : [...invariant.from, ...invariant.to];
  return named.flatMap((who) => {
    const names = (['namespace', 'segment', 'function', 'pods'] as const).flatMap((field) =>
      who[field] === undefined ? [] : [`${field} ${who[field]}`],
    );
    return names.length === 0 || nodes.some((node) => mayBe(who, node)) ? [] : [names.join(', ')];
  });
}

type Pairwise = Extract<Invariant, { kind: 'never' | 'only' }>;

function arrowViolations(verifier: Verifier, { arrows }: Graph, { kind, from, to, via }: Pairwise): Violation[] {
  const breaks = (arrow: Arrow): boolean =>
    to.some((who) => mayBe(who, arrow.to)) &&
    (kind === 'never' ? from.some((who) => mayBe(who, arrow.from)) : !from.some((who) => isSurely(who, arrow.from)));
  return arrows.filter(breaks).flatMap((arrow) => waysOf(arrow, via).map((way) => violationOf(verifier, arrow, way)));
}

type Way = 'network' | 'broker';

function waysOf({ ports, topics }: Arrow, via: Via): Way[] {
  const ways: Way[] = [...(ports.length > 0 ? (['network'] as const) : []), ...(topics.length > 0 ? (['broker'] as const) : [])];
  return ways.filter((way) => via === 'any' || via === way);
}

function violationOf(verifier: Verifier, arrow: Arrow, way: Way): Violation {
  const what = (way === 'network' ? arrow.ports : arrow.topics).join(', ');
  const { rules } = arrow;
  if (rules !== undefined)
    return { from: arrow.from.text, to: arrow.to.text, what, proof: rules.grants, ...(rules.unsure ? { unsure: true } : {}) };
  const [from, to] = [partyOf(arrow.from, verifier), partyOf(arrow.to, verifier)];
  const answer =
    from === undefined || to === undefined ? undefined : verifier.can(from, to).ways.find((one) => one.way === way && one.allowed);
  return { from: arrow.from.text, to: arrow.to.text, what, proof: answer?.grants ?? [] };
}

/** Of a range its first address: the whole range is the same for every policy. */
function partyOf(node: Node, { survey }: Verifier): Party | undefined {
  if (node.kind === 'segment') return { segment: node.text };
  if (node.kind === 'addresses')
    return { address: parseCidr(node.text) === undefined ? (rangeText(node.range).split('-')[0] ?? '') : node.text };
  const found = [...survey.facts.pods].find(([, pods]) => workloadText(pods) === node.text);
  return found === undefined ? undefined : { pods: found[0] };
}

type Topical = Extract<Invariant, { kind: 'topic' }>;

function topicViolations(verifier: Verifier, { segments }: Graph, { action, filter, who }: Topical): Violation[] {
  const { survey } = verifier;
  const isOther = (segment: SegmentNode): boolean => !who.some((one) => isSurely(one, segmentNode(segment)));
  const fleet = verifier.fleet();
  if (fleet !== undefined) {
    const known = new Map(segments.map((segment) => [segment.key, segment]));
    const uses = fleet.uses(action, filter).filter(({ segment }) => isOther(known.get(segment) ?? notInForce(segment, survey)));
    return uses
      .map(
        ({ segment, topic, grants, unsure }): Violation => ({
          ...{ from: segment, to: `topic ${topic}`, what: action, proof: grants },
          ...(unsure ? { unsure } : {}),
        }),
      )
      .sort(compareViolations);
  }
  return segments
    .filter(isOther)
    .flatMap(({ key }) =>
      (survey.relation.rights.get(key) ?? []).flatMap((right): Violation[] => {
        const shared = right.action === action ? common(right.filter.replaceAll('{device}', '+'), filter) : undefined;
        return shared === undefined ? [] : [{ from: key, to: `topic ${shared}`, what: `${action} ${right.filter}`, proof: right.grants }];
      }),
    )
    .sort(compareViolations);
}

const compareViolations = (a: Violation, b: Violation): number => byCodeUnits(`${a.from} ${a.to}`, `${b.from} ${b.to}`);

/** Whether something of the node is meant. */
function mayBe(who: Who, node: Node): boolean {
  if (node.kind === 'addresses') return isEverybody(who) || meant(who).some((range) => overlaps(range, node.range));
  return isOutside(who) ? false : plainly(who, node) && (!asksSegment(who) || node.segments.some((segment) => isSegment(who, segment)));
}

/** Whether all of the node is meant. */
function isSurely(who: Who, node: Node): boolean {
  if (node.kind === 'addresses') return isEverybody(who) || subtract(node.range, meant(who)).length === 0;
  if (isOutside(who) || !plainly(who, node)) return false;
  return !asksSegment(who) || (node.segments.length > 0 && node.segments.every((segment) => isSegment(who, segment)));
}

const isEverybody = (who: Who): boolean => Object.keys(who).length === 0;
const isOutside = ({ cidr, internet }: Who): boolean => cidr !== undefined || internet === true;
const asksSegment = (who: Who): boolean => who.segment !== undefined || who.trust !== undefined || who.function !== undefined;
const plainly = ({ namespace, pods }: Who, node: Node): boolean =>
  (namespace === undefined || node.namespace === namespace) && (pods === undefined || (node.kind === 'pods' && node.name === pods));

function isSegment(who: Who, segment: SegmentNode): boolean {
  return (
    (who.segment === undefined || who.segment === segment.name) &&
    (who.function === undefined || who.function === segment.function) &&
    (who.trust === undefined || (who.trust[0] <= segment.trust && segment.trust <= who.trust[1]))
  );
}

const overlaps = (a: AddressRange, b: AddressRange): boolean => a.family === b.family && a.from <= b.to && b.from <= a.to;
const meant = ({ cidr, internet }: Who): readonly AddressRange[] => (cidr !== undefined ? [cidr] : internet === true ? INTERNET : []);

/** Not of the internet (RFC 6890): this host, private, shared, loopback, link-local, multicast and reserved addresses. */
const LOCAL = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16', '224.0.0.0/3'],
  ...['::/127', 'fc00::/7', 'fe80::/10', 'ff00::/8'],
].flatMap((cidr) => parseCidr(cidr) ?? []);
const INTERNET = ['0.0.0.0/0', '::/0'].flatMap((cidr) => parseCidr(cidr) ?? []).flatMap((family) => subtract(family, LOCAL));
