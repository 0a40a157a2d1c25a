// A SegmentPolicy from a MUD file: what the maker says its device needs, as conduits. A draft, because names in the world of the maker are not segments of a site.
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import type { Entry, Mud, Peer, Ports } from './read-mud.ts';

/** Where a name of the MUD file lies here: a segment, or addresses. Keys are those of `peerKey`. */
export type Places = ReadonlyMap<string, { segment: string; namespace?: string } | { cidr: string }>;

export type Draft = { name: string; spec: Partial<SegmentPolicySpec>; leftOut: string[] };

/** What is not granted is denied, so an entry that cannot be said is left out and named: never widened. */
export function draftOf(mud: Mud, places: Places): Draft {
  const leftOut = [...mud.leftOut];
  const conduits = new Map<string, Conduit>();
  const accepted = new Map<string, Accepted>();
  for (const entry of mud.entries) {
    const role = roleOf(entry);
    if (role === 'reply') continue;
    const problem = role === 'out' ? addConduit(conduits, entry, places) : addAccepted(accepted, entry, places);
    if (problem !== undefined) leftOut.push(`${entry.name}: ${problem}`);
  }
  const name = slug(mud.model || mud.about) || 'mud-device';
  const spec = {
    ...(slug(mud.about) === '' ? {} : { function: slug(mud.about) }),
    trust: 1,
    ...(conduits.size === 0 ? {} : { conduits: within(named([...conduits.values()]), MAX_CONDUITS, leftOut) }),
    ...(accepted.size === 0 ? {} : { acceptFrom: within([...accepted.values()], MAX_ACCEPTED, leftOut) }),
  };
  return { name, spec: spec as Partial<SegmentPolicySpec>, leftOut };
}

/** How a place for a peer is named: `my-controller`, `controller=https://…`, `dns=example.com`. */
export function peerKey(peer: Peer): string {
  return 'name' in peer ? `${peer.kind}=${peer.name}` : peer.kind;
}

type Port = { protocol: 'TCP' | 'UDP'; port: number };
type Target = { segment: string; namespace?: string } | { cidr: string };
type Conduit = { to: Target; ports: Port[]; justification: string };
type Accepted = { segment: string; namespace?: string; ports: Port[] };

const MAX_PORTS = 16;
const MAX_CONDUITS = 25;
const MAX_ACCEPTED = 32;

/** Replies are implied by who opens: the mirrored entries of a MUD file say nothing new. */
function roleOf({ direction, initiated, destination }: Entry): 'out' | 'in' | 'reply' {
  if (initiated !== undefined) return initiated === direction ? (direction === 'from-device' ? 'out' : 'in') : 'reply';
  if (destination === undefined) return direction === 'from-device' ? 'out' : 'reply';
  return direction === 'from-device' ? 'out' : 'in';
}

function addConduit(conduits: Map<string, Conduit>, entry: Entry, places: Places): string | undefined {
  const to = placeOf(entry.peer, places);
  if (typeof to === 'string') return to;
  const ports = portsOf(entry);
  if (typeof ports === 'string') return ports;
  const key = JSON.stringify(to);
  const before = conduits.get(key) ?? { to, ports: [], justification: `MUD file of the maker: ${entry.name}` };
  const all = together(before.ports, ports);
  if (all.length > MAX_PORTS) return `a conduit has at most ${MAX_PORTS} ports`;
  conduits.set(key, { ...before, ports: all });
  return undefined;
}

function addAccepted(accepted: Map<string, Accepted>, entry: Entry, places: Places): string | undefined {
  const from = placeOf(entry.peer, places);
  if (typeof from === 'string') return from;
  if ('cidr' in from) return 'a segment accepts connections of segments, not of addresses: name the segment of its peer with --map';
  const ports = portsOf(entry);
  if (typeof ports === 'string') return ports;
  const key = JSON.stringify(from);
  const all = together(accepted.get(key)?.ports ?? [], ports);
  if (all.length > MAX_PORTS) return `an entry of acceptFrom has at most ${MAX_PORTS} ports`;
  accepted.set(key, { ...from, ports: all });
  return undefined;
}

function placeOf(peer: Peer, places: Places): Target | string {
  if (peer.kind === 'cidr') return { cidr: peer.cidr };
  if (peer.kind === 'anybody') return 'it names no peer: a conduit to everywhere is not made by itself';
  const place = places.get(peerKey(peer));
  if (place !== undefined) return place;
  const why = peer.kind === 'dns' ? 'a DNS name is no address that a NetworkPolicy could hold' : 'it is a name in the world of the maker';
  return `${why}: say where it lies with --map '${peerKey(peer)}=SEGMENT or CIDR'`;
}

function portsOf({ protocol, destination }: Entry): Port[] | string {
  if (protocol === undefined) return 'it names neither TCP nor UDP';
  if (destination === undefined) return 'it names no destination port';
  const { from, to } = destination as NonNullable<Ports>;
  if (to - from >= MAX_PORTS) return `${to - from + 1} ports are more than the ${MAX_PORTS} that an entry can name`;
  return Array.from({ length: to - from + 1 }, (_, at) => ({ protocol, port: from + at }));
}

function together(a: readonly Port[], b: readonly Port[]): Port[] {
  const all = new Map([...a, ...b].map((port) => [`${port.protocol}/${port.port}`, port]));
  return [...all.values()];
}

function named(conduits: readonly Conduit[]) {
  const taken = new Set<string>();
  return conduits.map((conduit) => {
    const wanted = `to-${slug('cidr' in conduit.to ? conduit.to.cidr : conduit.to.segment)}`.slice(0, 55);
    let name = wanted;
    for (let number = 2; taken.has(name); number++) name = `${wanted}-${number}`;
    taken.add(name);
    return { name, ...conduit };
  });
}

function within<T>(list: T[], most: number, leftOut: string[]): T[] {
  if (list.length > most) leftOut.push(`${list.length - most} more peers than the ${most} that a SegmentPolicy can name`);
  return list.slice(0, most);
}

/** An RFC 1123 label of at most 40 characters from any text; empty where nothing is left. */
function slug(text: string): string {
  const words = text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-');
  return words.slice(0, 40).replaceAll(/^-+|-+$/g, '');
}
