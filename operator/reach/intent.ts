// Who may reach whom as the SegmentPolicies, Devices and namespaces mean it, by ports and by topics, and why: the second reading of segmentation-edge.md 2.2, beside the one that compiles.
import { contains, parseCidr } from './addresses.ts';
import { type BrokerFleet, fleetAtBroker } from './broker-fleet.ts';
import { type BrokerRead, brokerView, type Member } from './broker-view.ts';
import { byCodeUnits } from './connections.ts';
import { activeMembers, type DeviceFact, drop, type Facts, type Lifecycle, lifecyclesOf, readFacts, take } from './intent-facts.ts';
import { type Action, meetingText } from './intent-filter.ts';
import { ANY, type Answer, outsideWays, portAnswer, type TopicRight } from './intent-grants.ts';
import { allPairs, type Members, meetingPairs, type Sides } from './intent-pairs.ts';
import { type Party, type Place, placeOf } from './intent-party.ts';
import { createRelation, type Pair, type Relation } from './intent-relation.ts';
import { mayUse, rightsAt, topicAnswer } from './intent-topics.ts';
import { isObject } from './label-selector.ts';
import type { Manifest } from './world.ts';

/** Ordered pairs of two Devices that are Active. */
export type PairCount = { devices: number; segments: number; byPorts: number; byTopics: number; any: number };

/** One way from segment to segment (or to addresses); `topics` are filters with {publisher} and {subscriber}. */
export type Edge = { from: string; to: string; ports: 'all' | readonly string[]; topics: readonly string[]; devicePairs: number };

export type Means = {
  /** `TCP 8883`, or ANY */
  port?: string;
  topic?: string;
};

export interface Intent {
  pairs(): PairCount;
  /** By this port or topic; without any of them, by some port or by some topic. */
  can(from: Party, to: Party, means?: Means): Answer;
  /** May a device do this with this topic: the question behind a denied publish. */
  may(device: string, action: Action, topic: string): Answer;
  /** What a device may do at the broker, with what every device keeps. */
  topicsOf(device: string): readonly TopicRight[];
  /** All ways, sorted; with a device those that begin with it. */
  edges(device?: string): readonly Edge[];
  /** All Devices, by key, as they stand. */
  devices(): readonly DeviceFact[];
  /** The fleet by what was read of the broker. `apart`: `<namespace>/<name>` of a device that is asked about alone. */
  atBroker(read: BrokerRead, apart?: string): BrokerFleet;
  /** One object is new or other than before. */
  change(object: unknown): void;
  remove(object: unknown): void;
  /** Policies that are not in force as they are written, each with the reasons. */
  refused(): ReadonlyMap<string, readonly string[]>;
  /** Each in a sentence: what is not taken into account. */
  omitted(): readonly string[];
}

/** `now`: ms since the epoch; conduits and interventions end by it. DNS and the way to the broker, which every segment has, are no part of the answers. */
export function createIntent(manifests: Iterable<Manifest>, now: number): Intent {
  const facts = readFacts(manifests);
  return intentOf(facts, createRelation(facts, now), now);
}

/** Of facts that were read already; they are its own from then on. `derive`: what `createRelation` made of them. */
export function intentOf(facts: Facts, derive: () => Relation, now: number): Intent {
  let relation: Relation | undefined;
  let fleet: Fleet | undefined;
  let members: { of: Fleet; live: BrokerRead['live']; list: readonly Member[] } | undefined;
  const current = (): Relation => (relation ??= derive());
  const fleetNow = (): Fleet => (fleet ??= fleetOf(facts, now));
  const place = (party: Party): Place => placeOf(party, facts, current(), fleetNow().lifecycles);

  function touched(object: unknown): object is Record<string, unknown> {
    if (!isObject(object)) return false;
    relation = undefined;
    if (object.kind === 'Device' || object.kind === 'Intervention') fleet = undefined;
    return true;
  }

  return {
    pairs: () => countOf(current(), fleetNow()),
    can(from, to, means = {}) {
      const [a, b] = [place(from), place(to)];
      const port = means.topic === undefined || means.port !== undefined ? reachByPort(a, b, means.port ?? ANY, now) : undefined;
      const topic = means.port === undefined || means.topic !== undefined ? topicAnswer(a, b, means.topic, current()) : undefined;
      return either(port, topic);
    },
    may: (device, action, topic) => mayUse(place({ device }), action, topic, current()),
    topicsOf: (device) => rightsAt(place({ device }), current()),
    edges: (device) => edgesOf(current(), fleetNow(), device === undefined ? undefined : place({ device })),
    devices() {
      const { lifecycles } = fleetNow();
      const all = [...facts.devices.values()].map((device) => ({ ...device, lifecycle: lifecycles.get(device.key) ?? device.lifecycle }));
      return all.sort((a, b) => byCodeUnits(a.key, b.key));
    },
    atBroker(read, apart) {
      const view = brokerView(read, now);
      const standpoint = { facts, relation: current(), lifecycles: fleetNow().lifecycles };
      if (apart !== undefined) return fleetAtBroker(view, standpoint, apart);
      // Another text concerns the same devices.
      if (members?.of !== fleetNow() || members.live !== read.live)
        members = { of: fleetNow(), live: read.live, list: view.fleet(standpoint) };
      return fleetAtBroker(view, standpoint, undefined, members.list);
    },
    change(object) {
      if (touched(object)) take(facts, 'change', object);
    },
    remove(object) {
      if (touched(object)) drop(facts, object);
    },
    refused: () => new Map([...current().readings].flatMap(([key, { refused }]) => (refused.length > 0 ? [[key, refused] as const] : []))),
    omitted: () => facts.omitted,
  };
}

type Fleet = {
  lifecycles: ReadonlyMap<string, Lifecycle> /** By segment, those that are Active. */;
  members: ReadonlyMap<string, Members>;
};

function fleetOf(facts: Facts, now: number): Fleet {
  const lifecycles = lifecyclesOf(facts, now);
  return { lifecycles, members: activeMembers(facts, lifecycles) };
}

const NOBODY: Members = new Set();

function countOf({ pairs, standings }: Relation, { members }: Fleet): PairCount {
  const count: PairCount = { devices: 0, segments: standings.size, byPorts: 0, byTopics: 0, any: 0 };
  for (const { size } of members.values()) count.devices += size;
  for (const pair of pairs.values()) {
    const sides = sidesOf(pair, members);
    const ports = pair.ports.length > 0 ? allPairs(sides) : 0;
    const topics = meetingPairs(sides, pair.passages);
    count.byPorts += ports;
    count.byTopics += topics;
    // By ports it is all of them or none.
    count.any += Math.max(ports, topics);
  }
  return count;
}

const sidesOf = ({ from, to }: Pair, members: Fleet['members'], self?: Members): Sides => ({
  from: self ?? members.get(from) ?? NOBODY,
  to: members.get(to) ?? NOBODY,
  same: from === to,
});

function edgesOf({ pairs, outside }: Relation, { members }: Fleet, device: Place | undefined): Edge[] {
  if (device !== undefined && device.problems.length > 0) return [];
  const { wireName } = device ?? {};
  const isMeant = ({ from }: { from: string }): boolean => device === undefined || device.zones.some(({ key }) => key === from);
  const inside = [...pairs.values()].filter(isMeant).flatMap((pair): Edge[] => {
    const passages = pair.passages.filter(({ publisher }) => wireName === undefined || (publisher ?? wireName) === wireName);
    if (pair.ports.length === 0 && passages.length === 0) return [];
    const sides = sidesOf(pair, members, wireName === undefined ? undefined : new Set([wireName]));
    const devicePairs = pair.ports.length > 0 ? allPairs(sides) : meetingPairs(sides, passages);
    return [{ from: pair.from, to: pair.to, ports: pair.ports, topics: [...new Set(passages.map(meetingText))].sort(), devicePairs }];
  });
  const leaving = outside.filter(isMeant).map(({ from, cidr, ports }): Edge => ({ from, to: cidr, ports, topics: [], devicePairs: 0 }));
  return [...inside, ...leaving].sort((a, b) => byCodeUnits(`${a.from} ${a.to}`, `${b.from} ${b.to}`));
}

/** By a port: sentence 1, what nobody grants is denied; of two places that nobody regulates nothing is said. */
function reachByPort(a: Place, b: Place, port: string, now: number): Answer {
  const problems = [...a.problems, ...b.problems];
  if (problems.length > 0) return denied(problems);
  if (!a.regulated && !b.regulated) return { allowed: true, grants: [], missing: [] };
  if (b.address !== undefined) return reachOutside(a, b, port, now);
  if (a.zones.length === 0 || b.zones.length === 0)
    return denied(
      [a, b].filter(({ zones }) => zones.length === 0).map(({ text }) => `${text} is in no segment: no conduit begins or ends there`),
    );
  const answers = a.zones.flatMap((from) => b.zones.map((to) => portAnswer(from, to, port, now)));
  return answers.find(({ allowed }) => allowed) ?? denied(answers.flatMap(({ missing }) => missing));
}

function reachOutside(a: Place, { address, text }: Place, port: string, now: number): Answer {
  const way = a.zones
    .flatMap((zone) => outsideWays(zone, now))
    .find(({ cidr, ports }) => {
      const range = parseCidr(cidr);
      return range !== undefined && address !== undefined && contains(range, address) && (port === ANY || ports.includes(port));
    });
  if (way !== undefined) return { allowed: true, grants: [way.grant], missing: [] };
  return denied([
    `spec.conduits of ${a.zones.map(({ key }) => `SegmentPolicy ${key}`).join(', ')} has none to ${text}${port === ANY ? '' : ` with ${port}`}`,
  ]);
}

const denied = (missing: readonly string[]): Answer => ({ allowed: false, grants: [], missing: [...new Set(missing)] });

function either(port: Answer | undefined, topic: Answer | undefined): Answer {
  const answers = [port, topic].filter((answer) => answer !== undefined);
  const allowed = answers.filter((answer) => answer.allowed);
  if (allowed.length === 0) return denied(answers.flatMap(({ missing }) => missing));
  return { allowed: true, grants: allowed.flatMap(({ grants }) => grants), missing: [] };
}
