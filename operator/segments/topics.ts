// The topics of other segments that a policy gets: what it asks for and what their owners accept from it, both. Pure.
import type { TopicAction } from '../api/topic.ts';
import type { TopicRight } from '../broker/broker.ts';
import type { Key } from '../kube/object.ts';
import type { Ask, Grant } from './accept.ts';
import type { Finding } from './errors.ts';
import { intersection, widest } from './filter.ts';

/** A segment that is in force, as far as its topics are concerned. */
export type Owner = {
  key: Key;
  /** `<segment>.<namespace>` */
  wireName: string;
  trust: number;
  /** What its own devices may do with its own topics. */
  own: Record<TopicAction, readonly TopicRight[]>;
  asks: readonly Ask[];
  grants: readonly Grant[];
};

export type TopicMarket = {
  owners: ReadonlyMap<Key, Owner>;
  /** What was granted to each asking segment, by whom. */
  granted: ReadonlyMap<Key, readonly Offer[]>;
  /** Policies that exist, in force or not. */
  exists(key: Key): boolean;
};
type Offer = { owner: Owner; grant: Grant };

export type Borrowed = {
  publish: TopicRight[];
  subscribe: TopicRight[];
  missing: Finding[];
  /** Of asks with a wildcard that some owners grant: who else would have to. Each in a sentence. */
  partly: string[];
};

export function marketOf(owners: readonly Owner[], exists: (key: Key) => boolean): TopicMarket {
  const granted = new Map<Key, Offer[]>();
  for (const owner of owners)
    for (const grant of owner.grants) {
      const offers = granted.get(grant.to) ?? [];
      offers.push({ owner, grant });
      granted.set(grant.to, offers);
    }
  return { owners: new Map(owners.map((owner) => [owner.key, owner])), granted, exists };
}

/** What `asker` gets of the topics of others. Each right names its owner: a wildcard in the place of the segment is never granted as it stands. */
export function borrow(asker: Owner, market: TopicMarket): Borrowed {
  const borrowed: Borrowed = { publish: [], subscribe: [], missing: [], partly: [] };
  for (const ask of asker.asks) {
    const answer = ask.owner === undefined ? fromAll(ask, asker, market) : fromOne(ask, ask.owner, asker, market);
    borrowed.missing.push(...answer.missing);
    if (answer.partly !== undefined) borrowed.partly.push(answer.partly);
    borrowed[ask.action].push(...answer.topics.map((topic) => ({ ...ask.right, topic: withPlaceholder(topic, ask, asker) })));
  }
  return borrowed;
}

type Answer = { topics: string[]; missing: Finding[]; partly?: string };

/** An ask that names the owner: everything that it names and does not get is missing. */
function fromOne(ask: Ask, key: Key, asker: Owner, market: TopicMarket): Answer {
  const none = (code: Finding['code'], found: string): Answer => ({ topics: [], missing: [finding(ask, code, found)] });
  const owner = market.owners.get(key);
  if (owner === undefined)
    return market.exists(key)
      ? none('HR-SEG-012', `SegmentPolicy ${key} is not in force`)
      : none('HR-SEG-010', `there is no SegmentPolicy ${key}`);
  const barred = barrier(ask, asker, owner);
  if (barred !== undefined) return { topics: [], missing: [barred] };
  const wanted = filterOf(ask, asker, owner);
  const topics = widest(offersFor(ask, asker, market).flatMap((offer) => (offer.owner === owner ? common(wanted, offer) : [])));
  if (topics.includes(wanted)) return { topics: [wanted], missing: [] };
  const instead = topics.length === 0 ? '' : `, only ${topics.join(', ')}`;
  return { topics, missing: [finding(ask, 'HR-SEG-016', `${key} does not accept it from ${asker.key}${instead}`)] };
}

/** A wildcard in the place of the segment: the sum of what each owner grants. Only when that is nothing, or something of its own stands in the way, is anything missing. */
function fromAll(ask: Ask, asker: Owner, market: TopicMarket): Answer {
  const offers = Map.groupBy(offersFor(ask, asker, market), ({ owner }) => owner);
  offers.delete(asker);
  const topics: string[] = [];
  const missing: Finding[] = [];
  const granting = new Set<Owner>();
  for (const [owner, ofOwner] of offers) {
    const shared = ofOwner.flatMap((offer) => common(filterOf(ask, asker, owner), offer));
    if (shared.length === 0) continue;
    granting.add(owner);
    const barred = barrier(ask, asker, owner);
    // Of different owners none contains another: only those of one are compared with each other.
    if (barred === undefined) topics.push(...widest(shared));
    else missing.push(barred);
  }
  const others = [...market.owners.values()].filter((owner) => owner !== asker && !granting.has(owner) && isUsed(ask, asker, owner));
  const named = namesOf(others.map(({ key }) => key));
  if (granting.size === 0) {
    const whose = named === '' ? 'no segment has such topics' : `missing is that of ${named}`;
    return { topics, missing: [finding(ask, 'HR-SEG-016', `nobody accepts it from ${asker.key}; ${whose}`)] };
  }
  if (named === '') return { topics, missing };
  const holding = granting.size - missing.length;
  return { topics, missing, partly: `${ask.action} ${ask.right.topic} is accepted by ${holding} segments, not by ${named}` };
}

/** The trust lattice holds for topics as it does for ports (segmentation-edge.md 2.2, sentence 5). */
function barrier(ask: Ask, asker: Owner, owner: Owner): Finding | undefined {
  if (owner.trust === 0) return finding(ask, 'HR-SEG-013', `the trust of ${owner.key} is 0`);
  if (!rises(asker.trust, owner.trust) || ask.justification.trim() !== '') return undefined;
  return finding(ask, 'HR-SEG-014', `trust rises from ${asker.trust} to ${owner.trust} of ${owner.key} and there is no justification`);
}

/** Trust 3 is where gateways stand: leading there is what conduits are for. */
const GATEWAY = 3;
export const rises = (from: number, to: number): boolean => to > from && to !== GATEWAY;

/** Whether devices of that segment have to do with such topics at all: a segment without telemetry has none to grant. */
function isUsed(ask: Ask, asker: Owner, owner: Owner): boolean {
  const wanted = filterOf(ask, asker, owner);
  const there = owner.own[ask.action === 'publish' ? 'subscribe' : 'publish'];
  return there.some(
    ({ topic }) => intersection(wanted, topic.replaceAll('{segment}', owner.wireName).replaceAll('{device}', '+')) !== undefined,
  );
}

const offersFor = (ask: Ask, asker: Owner, market: TopicMarket): Offer[] =>
  (market.granted.get(asker.key) ?? []).filter(({ grant }) => grant.action === ask.action);

function common(wanted: string, { grant }: Offer): string[] {
  const both = intersection(wanted, grant.topic);
  return both === undefined ? [] : [both];
}

/** The ask with one owner in the place of the wildcard, and the asking segment by name. */
function filterOf(ask: Ask, asker: Owner, owner: Owner): string {
  const [word = '', ...rest] = ask.right.topic.split('/');
  const below = rest[0] === '#' ? ['#'] : rest.slice(1);
  return [word, owner.wireName, ...below.map((level) => (level === '{segment}' ? asker.wireName : level))].join('/');
}

/** Where the ask said {segment} it says so again: policies of one shape stay alike. */
function withPlaceholder(topic: string, ask: Ask, asker: Owner): string {
  const asked = ask.right.topic.split('/');
  return topic
    .split('/')
    .map((level, i) => (asked[i] === '{segment}' && level === asker.wireName ? '{segment}' : level))
    .join('/');
}

function finding(ask: Ask, code: Finding['code'], found: string): Finding {
  return { code, path: ask.path, found: `${ask.action} ${ask.right.topic}: ${found}` };
}

/** Conditions stay readable: the first five by name, and how many there are. */
const MOST = 5;
function namesOf(keys: readonly Key[]): string {
  const more = keys.length > MOST ? ` and ${keys.length - MOST} more` : '';
  return [...keys].sort().slice(0, MOST).join(', ') + more;
}
