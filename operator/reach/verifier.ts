// What is asked of manifests as a whole: can one reach the other, by the network and by the broker, and which texts say so. What SegmentPolicies mean is told by the intent, what
// NetworkPolicies do by the evaluator.
import { contains, parseCidr, rangeOf } from './addresses.ts';
import { accessAnswer, type BrokerAnswer, deliveryAnswer } from './broker-answer.ts';
import type { BrokerFleet } from './broker-fleet.ts';
import { type BrokerRead, type BrokerView, brokerView } from './broker-view.ts';
import { byCodeUnits } from './connections.ts';
import { createEvaluator, type Evaluator } from './evaluate.ts';
import { type Intent, intentOf } from './intent.ts';
import { readFacts } from './intent-facts.ts';
import type { Action } from './intent-filter.ts';
import { ANY, type Answer } from './intent-grants.ts';
import { type Party, type Place, placeOf } from './intent-party.ts';
import { createRelation } from './intent-relation.ts';
import { topicAnswer } from './intent-topics.ts';
import { networkAnswer, podsOf } from './network-answer.ts';
import { type Survey, surveyOf } from './survey.ts';
import type { Manifest } from './world.ts';

/** `port` is `TCP 8883`. A port alone asks for the network only, a topic alone for the broker only. */
export type Means = { port?: string; topic?: string };
/** `policies`: what SegmentPolicies say, where the broker's own rules say otherwise. */
type ByBroker = BrokerAnswer & { by: 'Broker'; policies?: Answer };
/** `by`: whose texts decide. */
export type WayAnswer = { way: 'network' | 'broker' } & ((Answer & { by: 'SegmentPolicies' | 'NetworkPolicies' }) | ByBroker);
export type Verdict = {
  allowed: boolean;
  /** Not allowed by what is known, and perhaps by what is not understood. */
  unsure?: true;
  ways: readonly WayAnswer[];
  /** Each in a sentence: what a reader has to know beside the answer. */
  notes: readonly string[];
};

export interface Verifier {
  survey: Survey;
  intent: Intent;
  can(from: Party, to: Party, means?: Means): Verdict;
  /** May this device (`<namespace>/<name>`) do that with this topic. */
  may(device: string, action: Action, topic: string): Answer | ByBroker;
  /** Each in a sentence: rules at the broker that are not understood. */
  unread: readonly string[];
  /** The fleet by the broker's own rules, where they were read. `apart`: `<namespace>/<name>` of a device that is asked about alone. */
  fleet(apart?: string): BrokerFleet | undefined;
  /** Each in a sentence: what a reader has to know of the broker's rules. */
  notes: readonly string[];
  /** What the broker has in force, as it was read. */
  read: BrokerRead | undefined;
}

/**
 * `now`: ms since the epoch. `live`: these are the objects of a cluster, and with them the NetworkPolicies that follow from SegmentPolicies: then those alone decide about pods.
 * Otherwise, as in Git, what SegmentPolicies grant and what the other NetworkPolicies let through adds up, as it will in the cluster. `read`: what the broker has in force, which then decides about topics.
 */
export function createVerifier(manifests: readonly Manifest[], now: number, live: boolean, read?: BrokerRead): Verifier {
  const facts = readFacts(manifests);
  const derive = createRelation(facts, now);
  const survey = surveyOf(manifests, facts, derive(), now, live);
  const intent = intentOf(facts, derive, now);
  const evaluator = createEvaluator(survey.world, survey.isClosed);
  const view = read === undefined ? undefined : brokerView(read, now);
  const fleets = new Map<string | undefined, BrokerFleet>();
  return {
    survey,
    intent,
    unread: view?.acl.unread ?? [],
    notes: view?.notes ?? [],
    read,
    fleet(apart) {
      if (read === undefined) return undefined;
      const fleet = fleets.get(apart) ?? intent.atBroker(read, apart);
      fleets.set(apart, fleet);
      return fleet;
    },
    can(from, to, means = {}) {
      const network = means.topic === undefined || means.port !== undefined;
      const outside = 'address' in from || 'address' in to;
      const broker = means.topic !== undefined || (means.port === undefined && !outside);
      const ways = [
        ...(network ? [byNetwork({ survey, intent, evaluator }, from, to, means.port ?? ANY)] : []),
        ...(broker ? [byBroker(survey, view, from, to, means.topic)] : []),
      ];
      const allowed = ways.some((way) => way.allowed);
      const unsure = !allowed && ways.some((way) => way.by === 'Broker' && way.unsure);
      const notes = [...(network ? notesOn(survey, from, to) : []), ...(broker ? (view?.notes ?? []) : [])];
      return { allowed, ...(unsure ? { unsure } : {}), ways, notes };
    },
    may(device, action, topic) {
      const meant = mayWith(survey, intent, device, action, topic);
      if (view === undefined) return meant;
      const answer = accessAnswer(view.acl, view.party({ device }, survey), action, topic);
      return besides({ ...answer, adds: [...answer.adds, ...view.notes] }, meant);
    },
  };
}

/** Where a wildcard stands for the segment, each owner has to grant its part: it is said of each whose grant is missing. */
function mayWith({ relation }: Survey, intent: Intent, device: string, action: Action, topic: string): Answer {
  const answer = intent.may(device, action, topic);
  const [word = '', whose, ...rest] = topic.split('/');
  if (answer.allowed || (whose !== '+' && whose !== '#')) return answer;
  const parts = [...relation.byWireName.keys()]
    .sort(byCodeUnits)
    .map((owner) => [word, owner, ...(whose === '#' ? ['#'] : rest)].join('/'));
  const missing = parts.flatMap((part) => intent.may(device, action, part).missing);
  return { ...answer, missing: [...new Set([...answer.missing, ...missing])].slice(0, MOST_NAMED) };
}

const MOST_NAMED = 20;

type Engines = { survey: Survey; intent: Intent; evaluator: Evaluator };

function byNetwork({ survey, intent, evaluator }: Engines, from: Party, to: Party, port: string): WayAnswer {
  const meant: WayAnswer = { ...intended(survey, intent, from, to, port), way: 'network', by: 'SegmentPolicies' };
  const found = networkAnswer(survey, evaluator, { from, to, port });
  if (found === undefined) return meant;
  const actual: WayAnswer = { ...found, way: 'network', by: 'NetworkPolicies' };
  const regulated = [from, to].some((party) => placeIn(survey, party).regulated);
  if (!regulated) return actual;
  if (survey.live) return { ...actual, missing: actual.allowed ? [] : [...actual.missing, ...meant.missing] };
  if (meant.allowed) return meant;
  return actual.allowed ? actual : { ...meant, missing: [...meant.missing, ...actual.missing] };
}

/** Of a range of addresses one that can be reached is enough: it is asked for the parts of it that a conduit names, too. */
function intended(survey: Survey, intent: Intent, from: Party, to: Party, port: string): Answer {
  const whole = intent.can(from, to, { port });
  const range = 'address' in to ? rangeOf(to.address) : undefined;
  if (whole.allowed || range === undefined) return whole;
  const parts = new Set(survey.relation.outside.map(({ cidr }) => cidr));
  for (const cidr of parts) {
    const part = parseCidr(cidr);
    if (part === undefined || !contains(range, part)) continue;
    const answer = intent.can(from, { address: cidr }, { port });
    if (answer.allowed) return answer;
  }
  return whole;
}

function byBroker(survey: Survey, view: BrokerView | undefined, from: Party, to: Party, topic: string | undefined): WayAnswer {
  const meant = topicAnswer(placeIn(survey, from), placeIn(survey, to), topic, survey.relation);
  if (view === undefined) return { ...meant, way: 'broker', by: 'SegmentPolicies' };
  return { way: 'broker', ...besides(deliveryAnswer(view.acl, view.party(from, survey), view.party(to, survey), topic), meant) };
}

/** Where the two agree, or nobody knows, there is nothing to say of the policies. */
const besides = (answer: BrokerAnswer, meant: Answer): ByBroker => ({
  ...answer,
  by: 'Broker',
  ...(answer.unsure || answer.allowed === meant.allowed ? {} : { policies: meant }),
});

const placeIn = ({ facts, relation, lifecycles }: Survey, party: Party): Place => placeOf(party, facts, relation, lifecycles);

function notesOn(survey: Survey, from: Party, to: Party): string[] {
  const keys = [from, to].flatMap((party) => podsOf(party, survey));
  const host = [...new Set(keys)].filter((key) => survey.facts.pods.get(key)?.hostNetwork === true);
  const field = [from, to].flatMap((party) => ('device' in party && podsOf(party, survey).length === 0 ? [party.device] : []));
  return [
    ...(host.length === 0
      ? []
      : [`in the network of their node, where NetworkPolicies do not hold: ${host.slice(0, MOST_NAMED).join(', ')}`]),
    ...(field.length === 0 ? [] : [`no pods here, so what its own network lets through is not known: ${[...new Set(field)].join(', ')}`]),
  ];
}
