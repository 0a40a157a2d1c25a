// The whole fleet at the broker: who hears whom by the rules that it has in force, and where that is more or less than SegmentPolicies grant. By groups of devices that are alike, never
// device by device. What is not understood counts as allowed, and is then unsure. Pure.
import { rightsOf } from './acl-rights.ts';
import type { Action } from './acl-rule.ts';
import type { AclClient } from './acl-who.ts';
import { grantsOf } from './broker-answer.ts';
import { type BrokerUse, type Holder, type NotInForce, refusedTo, usesOf } from './broker-rights.ts';
import type { BrokerView, Member, Standpoint } from './broker-view.ts';
import { byCodeUnits } from './connections.ts';
import type { Delivery } from './delivery.ts';
import { type ClientGroup, deliveryGroups } from './delivery-groups.ts';
import { meetingText } from './intent-filter.ts';
import type { Grant } from './intent-grants.ts';
import { covers, type Levels, levelsOf } from './topic.ts';

/** From devices of one segment (`<namespace>/<name>`, by their manifests) to others of one; `topics` with {publisher} and {subscriber}. `meant`: SegmentPolicies grant it too. */
export type BrokerWay = {
  from: string;
  to: string;
  topics: readonly string[];
  grants: readonly Grant[];
  unsure: boolean;
  meant: boolean;
  /** Names on the wire of the devices there that hear it. */
  hearers(): ReadonlySet<string>;
};
export type Pending = { from: string; to: string; topic: string };

export type BrokerFleet = {
  ways(): readonly BrokerWay[];
  /** Of one device, which the fleet has to tell apart; sorted. */
  from(device: string): readonly BrokerWay[];
  to(device: string): readonly BrokerWay[];
  /** Whoever may do this with topics of the filter, but for what every Device keeps. */
  uses(action: Action, filter: string): readonly BrokerUse[];
  /** What SegmentPolicies let through from segment to segment, and the broker surely not. */
  pending(): readonly Pending[];
  /** What is granted and the broker surely refuses; of one device, or of all. */
  notInForce(device?: string): readonly NotInForce[];
};

/** `all`: who is in it. `apart`: `<namespace>/<name>` of a device that is asked about alone, whatever its lifecycle. */
export function fleetAtBroker(
  view: BrokerView,
  survey: Standpoint,
  apart?: string,
  all: readonly Member[] = view.fleet(survey, apart),
): BrokerFleet {
  const { members, clients } = crowdOf(all);
  const { groups, between } = deliveryGroups(clients, view.acl, undefined, {
    words: [...survey.relation.rights.values()].flatMap((rights) => rights.flatMap(({ filter }) => levelsOf(filter))),
    mark({ clientid }) {
      const { key, segment, lifecycle } = members.get(clientid) ?? NOBODY;
      return `${segment} ${lifecycle} ${key === apart}`;
    },
  });
  /** One that is asked about alone is not counted among the others of its segment. */
  const side = ({ segment, key }: Member): string => `${key === apart} ${segment}`;
  const sizes = new Map<string, number>();
  for (const member of all) sizes.set(side(member), (sizes.get(side(member)) ?? 0) + 1);
  const parts = groups.flatMap((group, number): Part[] => {
    const [first, second] = group.members;
    const member = members.get(first?.clientid ?? '');
    if (first === undefined || member === undefined) return [];
    const { length } = group.members;
    const of = sizes.get(side(member)) ?? length;
    const part = { group, number, of, second: second?.clientid, member, devices: length, rights: rightsOf(first, view.acl) };
    return [{ ...part, only: whichOf([{ ...part, only: '' }]) }];
  });
  const found = (a: Part, b: Part): Found[] => {
    const deliveries = between(a.group, b.group) ?? [];
    const granted = deliveries.length === 0 ? [] : meantBetween(a, b, survey);
    return deliveries.map((delivery) => ({ a, b, delivery, meant: covers(granted, levelsOf(delivery.topic)) }));
  };
  const isOne =
    (device: string) =>
    ({ member }: Part): boolean =>
      member.key === device;
  let pairs: readonly Found[][] | undefined;
  const foundAll = (): readonly Found[][] => {
    pairs ??= parts.map((a) => parts.flatMap((b) => found(a, b)));
    return pairs;
  };
  let known: readonly BrokerWay[] | undefined;
  return {
    ways() {
      known ??= waysOf(foundAll().flat());
      return known;
    },
    from: (device) => waysOf(parts.filter(isOne(device)).flatMap((a) => parts.flatMap((b) => found(a, b)))),
    to: (device) => waysOf(parts.filter(isOne(device)).flatMap((b) => parts.flatMap((a) => found(a, b)))),
    uses: (action, filter) => parts.flatMap((part) => usesOf(part, action, levelsOf(filter))),
    pending: () =>
      distinct(
        foundAll().flatMap((ways, at) => {
          const [a, byReceiver] = [parts[at], Map.groupBy(ways, ({ b }) => b)];
          return a === undefined ? [] : parts.flatMap((b) => pendingBetween(a, b, byReceiver.get(b) ?? [], survey));
        }),
      ),
    notInForce: (device) => refusedTo(device === undefined ? parts : parts.filter(isOne(device)), survey),
  };
}

type Crowd = { members: ReadonlyMap<string, Member>; clients: readonly AclClient[] };

/** The same for the same list: it stays when only the text is another. */
function crowdOf(all: readonly Member[]): Crowd {
  const known = crowds.get(all);
  if (known !== undefined) return known;
  const members = new Map(all.map((member) => [member.client.clientid, member]));
  const crowd = { members, clients: [...members.values()].map(({ client }) => client) };
  crowds.set(all, crowd);
  return crowd;
}

const crowds = new WeakMap<readonly Member[], Crowd>();

const NOBODY: Omit<Member, 'client'> = { key: '', segment: '', lifecycle: 'Revoked' };

/** One group of devices of one segment, which has so many: its first, and another one. */
type Part = Holder & { group: ClientGroup; number: number; of: number; second: string | undefined };
type Found = { a: Part; b: Part; delivery: Delivery; meant: boolean };

/** Filters on which SegmentPolicies let the first of the one reach the other. */
const meantBetween = (a: Part, b: Part, survey: Standpoint): Levels[] => passagesBetween(a, b, survey).map(({ levels }) => levels);

function pendingBetween(a: Part, b: Part, found: readonly Found[], survey: Standpoint): Pending[] {
  const [{ segment: from }, { segment: to }] = [a.member, b.member];
  const open = found.flatMap(({ delivery }) => (delivery.except.length === 0 ? [levelsOf(delivery.topic)] : []));
  return passagesBetween(a, b, survey).flatMap(({ levels, text }) => (covers(open, levels) ? [] : [{ from, to, topic: text }]));
}

const distinct = (all: readonly Pending[]): Pending[] => [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];

function passagesBetween(a: Part, b: Part, { relation }: Standpoint): { levels: Levels; text: string }[] {
  if (a === b && a.second === undefined) return [];
  if (a.member.lifecycle !== 'Active' || b.member.lifecycle !== 'Active') return [];
  const [publisher, subscriber] = [a.member.client.clientid, receiverOf(a, b)];
  const passages = relation.pairs.get(`${a.member.segment} ${b.member.segment}`)?.passages ?? [];
  return passages
    .filter((one) => (one.publisher ?? publisher) === publisher && (one.subscriber ?? subscriber) === subscriber)
    .map((passage) => ({
      levels: levelsOf(passage.topic).map((level) => ({ '{publisher}': publisher, '{subscriber}': subscriber })[level] ?? level),
      text: meetingText(passage),
    }));
}

/** Within a group the second hears the first. */
const receiverOf = (a: Part, b: Part): string => (a === b ? (b.second ?? '') : b.member.client.clientid);

function waysOf(found: readonly Found[]): BrokerWay[] {
  const alike = Map.groupBy(found, ({ a, b, delivery, meant }) =>
    JSON.stringify([a.member.segment, b.member.segment, delivery.sure, meant]),
  );
  const ways = [...alike.values()].flatMap((some): BrokerWay[] => {
    const [first] = some;
    if (first === undefined) return [];
    const proofs = new Map(some.map((one) => [JSON.stringify([one.delivery.publish, one.delivery.subscribe]), one]));
    return [
      {
        ...{ from: first.a.member.segment, to: first.b.member.segment, unsure: !first.delivery.sure, meant: first.meant },
        topics: shortened([...new Set(topicTexts(widest(some)))].sort(byCodeUnits)),
        grants: [...proofs.values()].slice(0, MOST_PROOFS).flatMap(({ delivery }) => grantsOf(delivery)),
        hearers: () => new Set(some.flatMap(({ b }) => b.group.members.map(({ clientid }) => clientid))),
      },
    ];
  });
  return ways.sort((x, y) => byCodeUnits(x.from, y.from) || byCodeUnits(x.to, y.to) || Number(x.unsure) - Number(y.unsure));
}

/** Between the same devices what is a part of something else is said with it. */
const widest = (found: readonly Found[]): Found[] =>
  [...Map.groupBy(found, ({ a }) => a).values()]
    .flatMap((ofOne) => [...Map.groupBy(ofOne, ({ b }) => b).values()])
    .flatMap((same) => same.filter((one) => !same.some((other) => isWithin(one, other))));

const isWithin = (one: Found, other: Found): boolean =>
  other.delivery.except.length === 0 &&
  one.delivery.topic !== other.delivery.topic &&
  covers([levelsOf(other.delivery.topic)], levelsOf(one.delivery.topic));

const MOST_PROOFS = 3;
const MOST_TOPICS = 20;

const shortened = (texts: readonly string[]): string[] =>
  texts.length <= MOST_TOPICS ? [...texts] : [...texts.slice(0, MOST_TOPICS), `${texts.length - MOST_TOPICS} more`];

/** Each text once, with which devices it is of where it is not of all. */
function topicTexts(found: readonly Found[]): string[] {
  return [...Map.groupBy(found, topicOf)].flatMap(([text, same]) => {
    const [senders, receivers] = [new Set(same.map(({ a }) => a)), new Set(same.map(({ b }) => b))];
    const alone = [...senders].filter((part) => part.second === undefined && receivers.has(part)).length;
    const all = new Set(same.map(({ a, b }) => `${a.number} ${b.number}`)).size === senders.size * receivers.size - alone;
    if (all) return [`${text}${onlyOf([...senders], [...receivers])}`];
    return same.map(({ a, b }) => `${text}${onlyOf([a], [b])}`);
  });
}

function topicOf({ a, b, delivery }: Found): string {
  const [publisher, subscriber] = [a.member.client.clientid, receiverOf(a, b)];
  const said = (text: string): string =>
    levelsOf(text)
      .map((level) => (level === publisher ? '{publisher}' : level === subscriber ? '{subscriber}' : level))
      .join('/');
  return `${said(delivery.topic)}${delivery.except.length === 0 ? '' : ` but ${delivery.except.map(said).join(', ')}`}`;
}

function onlyOf(senders: readonly Part[], receivers: readonly Part[]): string {
  const [from, to] = [senders, receivers].map(whichOf) as [string, string];
  const only = [...(from === '' ? [] : [`from ${from}`]), ...(to === '' ? [] : [`to ${to}`])];
  return only.length === 0 ? '' : ` only ${only.join(' ')}`;
}

/** Empty: all of their segment. */
function whichOf(parts: readonly Part[]): string {
  const count = parts.reduce((sum, { devices }) => sum + devices, 0);
  if (count === parts[0]?.of) return '';
  if (count > MOST_NAMES) return `${count} of its devices`;
  const names = parts.flatMap(({ group }) => group.members.map(({ clientid }) => clientid));
  return names.sort(byCodeUnits).join(' and ');
}

const MOST_NAMES = 3;
