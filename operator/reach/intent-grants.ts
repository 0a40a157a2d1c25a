// What two segments grant each other: a flow exists only where both do. With the texts that grant it, or those that are missing. Pure.
import { type Action, common, isWithin } from './intent-filter.ts';
import type { Way, Wish, Zone } from './intent-policy.ts';

/** One text that grants: `SegmentPolicy berlin/sensors`, `spec.conduits[0]`, and what it says. */
export type Grant = { policy: string; path: string; value: string };
/** Allowed by all of these texts together, or missing all of these. */
export type Answer = { allowed: boolean; grants: readonly Grant[]; missing: readonly string[] };

/** ANY: whether there is any port at all. */
export const ANY = 'ANY';
/** A zone as it stands among the others. */
export type Standing = Zone & {
  /** A pod of it belongs to another segment too (segmentation-edge.md 2.2, sentence 3): nobody can say which of the two was meant, so neither counts. */
  conflicted: boolean;
};

const GATEWAY = 3;
/** Sentence 5: who is trusted less opens to who is trusted more only by the gateway, or with a reason that somebody can read. */
const rises = (from: Zone, to: Zone): boolean => to.trust > from.trust && to.trust !== GATEWAY;
const nameOf = ({ key }: Pick<Zone, 'key'>): string => `SegmentPolicy ${key}`;

/** May members of `a` open a connection to this port of members of `b`? `now` in ms since the epoch. */
export function portAnswer(a: Standing, b: Standing, port: string, now: number): Answer {
  if (a.key === b.key && a.open && !a.conflicted) return allowed([{ policy: nameOf(a), path: 'spec.intraSegment', value: 'Allow' }]);
  const { way, why } = wayTo(a, b, port, now);
  const missing = [...conflicts(a.key === b.key ? [a] : [a, b]), ...why];
  if (b.trust === 0) missing.push(`the trust of ${nameOf(b)} is 0: nobody opens a connection to it`);
  const entry = b.accepts.find(({ from, ports }) => from === a.key && (way === undefined ? names(ports, port) : shares(way, ports, port)));
  if (entry === undefined) missing.push(`spec.acceptFrom of ${nameOf(b)} does not name ${a.key}${port === ANY ? '' : ` with ${port}`}`);
  if (missing.length > 0 || way === undefined || entry === undefined) return { allowed: false, grants: [], missing };
  return allowed([
    { policy: nameOf(a), path: way.path, value: `${way.name} to ${b.key}: ${way.ports.join(', ')}` },
    { policy: nameOf(b), path: entry.path, value: `from ${entry.from}: ${entry.ports.join(', ')}` },
  ]);
}

/** Ports that members of `a` may open at members of `b`; `all` within an open segment. */
export function openPorts(a: Standing, b: Standing, now: number): 'all' | readonly string[] {
  if (a.key === b.key && a.open && !a.conflicted) return 'all';
  const asked = new Set(a.ways.flatMap((way) => (leadsTo(way, b) ? way.ports : [])));
  return [...asked].filter((port) => portAnswer(a, b, port, now).allowed).sort();
}

/** Ways to addresses outside the cluster: nobody there can grant anything. */
export function outsideWays(a: Standing, now: number): { cidr: string; ports: readonly string[]; grant: Grant }[] {
  if (a.conflicted) return [];
  return a.ways.flatMap((way) =>
    'cidr' in way.to && way.ends > now
      ? [
          {
            cidr: way.to.cidr,
            ports: way.ports,
            grant: { policy: nameOf(a), path: way.path, value: `${way.name} to ${way.to.cidr}: ${way.ports.join(', ')}` },
          },
        ]
      : [],
  );
}

function wayTo(a: Standing, b: Standing, port: string, now: number): { way?: Way; why: string[] } {
  const ways = a.ways.filter((way) => leadsTo(way, b) && names(way.ports, port));
  const lasting = ways.filter(({ ends }) => ends > now);
  const good = lasting.filter(({ justified }) => justified || !rises(a, b));
  // With ANY, of several ways one that the other side accepts.
  const accepted = good.find((way) => b.accepts.some((entry) => entry.from === a.key && shares(way, entry.ports, port)));
  const way = accepted ?? good[0];
  if (way !== undefined) return { way, why: [] };
  if (lasting[0] !== undefined)
    return { why: [`${lasting[0].path} of ${nameOf(a)} has no justification: trust rises from ${a.trust} to ${b.trust}`] };
  if (ways[0] !== undefined) return { why: [`${ways[0].path} of ${nameOf(a)} (${ways[0].name}) is over`] };
  return { why: [`spec.conduits of ${nameOf(a)} does not lead to ${b.key}${port === ANY ? '' : ` with ${port}`}`] };
}

const leadsTo = ({ to }: Way, b: Zone): boolean => 'segment' in to && to.segment === b.key;
const names = (ports: readonly string[], port: string): boolean => (port === ANY ? ports.length > 0 : ports.includes(port));
const shares = (way: Way, ports: readonly string[], port: string): boolean =>
  way.ports.some((one) => (port === ANY || one === port) && ports.includes(one));

/** What devices of a segment may do with a topic; only `{device}` is left to fill in. */
export type TopicRight = { action: Action; filter: string; grants: readonly Grant[] };

/** Topics of its own: one key is enough. What is raw/ waits until raw data may leave the site. */
export function ownTopics(zone: Zone, rawLeaves: boolean): TopicRight[] {
  const isHeld = ({ action, filter }: Wish): boolean => action === 'publish' && filter.startsWith('raw/') && !rawLeaves;
  return zone.wishes.flatMap((wish) =>
    wish.of === 'self' && !isHeld(wish) ? [{ action: wish.action, filter: wish.filter, grants: [grantOf(zone, wish)] }] : [],
  );
}

/** Topics of `owner` that devices of `asker` may use: what the one asks for and the other accepts. A wildcard in the place of the segment stands for each of the others. */
export function borrowedTopics(asker: Zone, owner: Zone): TopicRight[] {
  const offers = asker.key === owner.key || owner.trust === 0 ? [] : owner.accepts.filter(({ from }) => from === asker.key);
  if (offers.length === 0) return [];
  return asker.wishes
    .filter((wish) => asksFor(wish, owner) && (wish.justified || !rises(asker, owner)))
    .flatMap((wish) =>
      offers.flatMap(({ topics }) =>
        topics.flatMap((offer): TopicRight[] => {
          const filter = offer.action === wish.action ? common(wanted(wish, owner), offer.filter) : undefined;
          if (filter === undefined) return [];
          const accept = { policy: nameOf(owner), path: offer.path, value: `${asker.key} may ${offer.action} ${offer.filter}` };
          return [{ action: wish.action, filter, grants: [grantOf(asker, wish), accept] }];
        }),
      ),
    );
}

/** Which grants devices of `zone` lack for this topic, whose `owner` is known when its second level names a segment. */
export function missingForTopic(zone: Zone, action: Action, topic: string, owner: Zone | undefined): string[] {
  const whose = topic.split('/')[1] ?? '';
  const wishes = zone.wishes.filter((wish) => wish.action === action);
  const asks = wishes.filter((wish) => covers(owner === undefined || wish.of === 'self' ? wish.filter : wanted(wish, owner), topic));
  const missing = asks.length > 0 ? [] : [`spec.topics.${action} of ${nameOf(zone)} does not name ${topic}`];
  if (owner === undefined) return whose.includes('.') ? [...missing, `there is no SegmentPolicy in force for ${whose}`] : missing;
  if (owner.key === zone.key) return missing;
  if (owner.trust === 0) missing.push(`the trust of ${nameOf(owner)} is 0: nobody uses its topics`);
  if (asks.length > 0 && rises(zone, owner) && !asks.some(({ justified }) => justified))
    missing.push(`${asks[0]?.path} of ${nameOf(zone)} has no justification: trust rises from ${zone.trust} to ${owner.trust}`);
  const offered = owner.accepts.some(
    (entry) => entry.from === zone.key && entry.topics.some((offer) => offer.action === action && covers(offer.filter, topic)),
  );
  if (!offered) missing.push(`spec.acceptFrom of ${nameOf(owner)} does not let ${zone.key} ${action} ${topic}`);
  return missing;
}

/** `{device}` is some device: which one, the caller knows. */
const covers = (filter: string, topic: string): boolean => isWithin(topic, filter.replaceAll('{device}', '+'));
const asksFor = (wish: Wish, owner: Zone): boolean => wish.of === 'all' || wish.of === owner.wireName;

function wanted(wish: Wish, owner: Zone): string {
  if (wish.of !== 'all') return wish.filter;
  const [word = '', whose, ...rest] = wish.filter.split('/');
  return [word, owner.wireName, ...(whose === '#' ? ['#'] : rest)].join('/');
}

const grantOf = (zone: Zone, wish: Wish): Grant => ({ policy: nameOf(zone), path: wish.path, value: `${wish.action} ${wish.written}` });
const allowed = (grants: Grant[]): Answer => ({ allowed: true, grants, missing: [] });

function conflicts(zones: readonly Standing[]): string[] {
  return zones.flatMap((zone) => (zone.conflicted ? [`a pod of ${nameOf(zone)} belongs to another segment too`] : []));
}
