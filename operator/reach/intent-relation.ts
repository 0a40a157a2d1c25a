// The segments of a fleet and what is between each two of them. Everything is a function of what it is made of and is made again only when that changed: so that one changed policy costs
// what hangs on it, and the answers are those of a new start.
import type { Facts } from './intent-facts.ts';
import { type Meeting, meeting } from './intent-filter.ts';
import { borrowedTopics, openPorts, outsideWays, ownTopics, type Standing, type TopicRight } from './intent-grants.ts';
import { type PolicyReading, readSegmentPolicy, type Zone } from './intent-policy.ts';
import { type Labels, matches } from './label-selector.ts';

/** Two rights that meet. */
export type Passage = Meeting & { publish: TopicRight; subscribe: TopicRight };
/** From one segment to another, or within one. */
export type Pair = { from: string; to: string; ports: 'all' | readonly string[]; passages: readonly Passage[] };

/** Ports as they are said. */
export const portWords = (ports: Pair['ports']): readonly string[] => (ports === 'all' ? ['every port'] : ports);

export type Relation = {
  readings: ReadonlyMap<string, PolicyReading>;
  standings: ReadonlyMap<string, Standing>;
  byWireName: ReadonlyMap<string, Standing>;
  rights: ReadonlyMap<string, readonly TopicRight[]>;
  /** By `<from> <to>`; only pairs with something between them. */
  pairs: ReadonlyMap<string, Pair>;
  outside: readonly { from: string; cidr: string; ports: readonly string[] }[];
};

/** Answers for the facts as they stand when it is called. `now`: ms since the epoch. */
export function createRelation(facts: Facts, now: number): () => Relation {
  const read = remembered((object: object, trust: number, at: { namespace: string; name: string }) =>
    readSegmentPolicy(at.namespace, at.name, object as Record<string, unknown>, trust),
  );
  const stand = remembered((zone: Zone, conflicted: boolean): Standing => ({ ...zone, conflicted }));
  const borrow = remembered(borrowedTopics);
  const rightsOf = remembered((...parts: readonly (readonly TopicRight[])[]): Rights => sorted(parts.flat()));
  const own = remembered(ownTopics);
  const portsOf = remembered((a: Standing, b: Standing) => openPorts(a, b, now));
  const passagesOf = remembered(passages);

  return () => {
    const readings = new Map(
      [...facts.policies].map(([key, fact]) => [key, read(key, fact.object, maxTrustOf(facts.namespaces.get(fact.namespace)), fact)]),
    );
    for (const table of [read, stand, own, rightsOf]) table.keep(readings);
    const zones = [...readings.values()].flatMap(({ zone }) => (zone === undefined ? [] : [zone]));
    const shared = sharedBy(zones, facts);
    const standings = new Map(zones.map((zone) => [zone.key, stand(zone.key, zone, shared.has(zone.key))]));
    const all = [...standings.values()];
    const rawSites = new Set(zones.flatMap(({ namespace, rawEnds }) => (rawEnds > now ? [namespace] : [])));
    const rights = new Map<string, Rights>();
    for (const zone of all) {
      const asks = zone.wishes.some(({ of }) => of !== 'self');
      const parts = asks ? all.map((owner) => borrow(`${zone.key} ${owner.key}`, zone, owner)).filter((part) => part.length > 0) : [];
      rights.set(zone.key, rightsOf(zone.key, own(zone.key, zone, rawSites.has(zone.namespace)), ...parts));
    }
    const pairs = new Map<string, Pair>();
    for (const a of all) {
      for (const b of all) {
        const key = `${a.key} ${b.key}`;
        const [publisher, subscriber] = [rights.get(a.key), rights.get(b.key)];
        const ports = portsOf(key, a, b);
        const met = publisher === undefined || subscriber === undefined ? [] : passagesOf(key, publisher, subscriber);
        if (ports.length > 0 || met.length > 0) pairs.set(key, { from: a.key, to: b.key, ports, passages: met });
      }
    }
    const outside = all.flatMap((zone) => outsideWays(zone, now).map(({ cidr, ports }) => ({ from: zone.key, cidr, ports })));
    return {
      readings,
      standings,
      byWireName: new Map(all.map((zone) => [zone.wireName, zone])),
      rights: new Map([...rights].map(([key, value]) => [key, value.list])),
      pairs,
      outside,
    };
  };
}

/** What a key was made of last, and what came of it. */
function remembered<A extends readonly unknown[], T>(
  make: (...of: A) => T,
): { (key: string, ...of: A): T; keep(keys: { has(key: string): boolean }): void } {
  const known = new Map<string, { of: A; value: T }>();
  const table = (key: string, ...of: A): T => {
    const before = known.get(key);
    if (before !== undefined && before.of.length === of.length && before.of.every((part, i) => part === of[i])) return before.value;
    const value = make(...of);
    known.set(key, { of, value });
    return value;
  };
  return Object.assign(table, {
    keep(keys: { has(key: string): boolean }): void {
      for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
    },
  });
}

const MAX_TRUST_LABEL = 'hedgerow.dev/max-trust';
/** Without the label 3; with one that is no trust, nothing. */
function maxTrustOf(labels: Labels | undefined): number {
  const label = labels?.get(MAX_TRUST_LABEL);
  if (label === undefined) return 3;
  return /^[0-4]$/.test(label) ? Number(label) : -1;
}

/** Segments with a pod that another segment has too. */
function sharedBy(zones: readonly Zone[], facts: Facts): Set<string> {
  const shared = new Set<string>();
  const byNamespace = Map.groupBy(
    zones.filter(({ workloads }) => workloads.length > 0),
    ({ namespace }) => namespace,
  );
  for (const pod of facts.pods.values()) {
    const homes = (byNamespace.get(pod.namespace) ?? []).filter(({ workloads }) => workloads.some((one) => matches(one, pod.labels)));
    if (homes.length > 1) for (const home of homes) shared.add(home.key);
  }
  return shared;
}

/** Rights by action and by the first two levels: those are words in every right, so that rights with other words never meet. */
type Rights = { list: readonly TopicRight[]; publish: Buckets; subscribe: Buckets };
type Buckets = ReadonlyMap<string, readonly TopicRight[]>;

function sorted(list: readonly TopicRight[]): Rights {
  const buckets = (action: TopicRight['action']): Buckets =>
    Map.groupBy(
      list.filter((right) => right.action === action),
      ({ filter }) => filter.split('/', 2).join('/'),
    );
  return { list, publish: buckets('publish'), subscribe: buckets('subscribe') };
}

function passages(publisher: Rights, subscriber: Rights): Passage[] {
  const found: Passage[] = [];
  for (const [words, subscribes] of subscriber.subscribe) {
    for (const publish of publisher.publish.get(words) ?? []) {
      for (const subscribe of subscribes) {
        const met = meeting(publish.filter, subscribe.filter);
        if (met !== undefined) found.push({ ...met, publish, subscribe });
      }
    }
  }
  return found;
}
