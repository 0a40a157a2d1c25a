// A MUD file (RFC 8520) as plain data. Hostile input is the normal case: everything is bounded, and a match that is not understood is never taken for a wider one.

import { networkOf } from '../reach/reach.ts';

/** One access control entry that lets something through, or why it is none that can be imported. */
export type Entry = {
  /** `<acl>/<ace>`, for people. */
  name: string;
  direction: 'from-device' | 'to-device';
  /** Who opens the connection; undefined where the file does not say (UDP has no such thing, RFC 8520 §3.9 is for TCP). */
  initiated: 'from-device' | 'to-device' | undefined;
  /** Whom the device talks to. */
  peer: Peer;
  protocol: 'TCP' | 'UDP' | undefined;
  source: Ports;
  destination: Ports;
};
export type Peer =
  | { kind: 'cidr'; cidr: string }
  | { kind: 'dns'; name: string }
  | { kind: 'controller' | 'manufacturer' | 'model'; name: string }
  | { kind: 'my-controller' | 'same-manufacturer' | 'local-networks' | 'anybody' };
/** Closed; undefined: every port. */
export type Ports = { from: number; to: number } | undefined;

export type Mud = {
  url: string;
  lastUpdate: string;
  about: string;
  manufacturer: string;
  model: string;
  entries: Entry[];
  leftOut: string[];
};

/** The file itself is refused. */
export class MudRefused extends Error {
  override readonly name = 'MudRefused';
}

export const MAX_MUD_BYTES = 1024 * 1024;
const MAX_ACLS = 64;
const MAX_ENTRIES = 1_000;
const MAX_NAME = 80;

/** Throws `MudRefused`. */
export function readMud(text: string): Mud {
  if (Buffer.byteLength(text) > MAX_MUD_BYTES) throw new MudRefused(`it has more than ${MAX_MUD_BYTES / 1024} KiB`);
  const file = object(parsed(text), 'the file');
  const mud = object(file['ietf-mud:mud'], 'ietf-mud:mud');
  if (mud['mud-version'] !== 1) throw new MudRefused('mud-version is not 1');
  const read: Mud = {
    url: mudUrl(mud['mud-url']),
    lastUpdate: short(mud['last-update'], 'last-update'),
    about: short(mud.systeminfo, 'systeminfo'),
    manufacturer: short(mud['mfg-name'], 'mfg-name'),
    model: short(mud['model-name'], 'model-name'),
    entries: [],
    leftOut: [],
  };
  const acls = aclsByName(file);
  let count = 0;
  for (const direction of ['from-device', 'to-device'] as const) {
    for (const name of aclNames(mud[`${direction}-policy`], direction)) {
      const entries = acls.get(name);
      if (entries === undefined)
        throw new MudRefused(`${direction}-policy names the access list ${quoted(name)}, which is not in the file`);
      count += entries.length;
      if (count > MAX_ENTRIES) throw new MudRefused(`it has more than ${MAX_ENTRIES} entries`);
      readEntries(read, name, direction, entries);
    }
  }
  return read;
}

/** First match wins (RFC 8519): what follows an entry that drops may be narrower than it looks. */
function readEntries(mud: Mud, acl: string, direction: Entry['direction'], entries: readonly unknown[]): void {
  let dropped = false;
  entries.forEach((value, at) => {
    const ace = object(value, `an entry of ${quoted(acl)}`);
    const name = `${acl}/${label(ace.name, `entry ${at + 1} of ${quoted(acl)}`)}`;
    const forwarding = object(ace.actions, `actions of ${quoted(name)}`).forwarding;
    const action = typeof forwarding === 'string' ? forwarding.replace(/^ietf-access-control-list:/, '') : '';
    if (!['accept', 'drop', 'reject'].includes(action))
      throw new MudRefused(`the forwarding of ${quoted(name)} is none of accept, drop, reject`);
    if (action !== 'accept') {
      dropped = true;
      return;
    }
    const entry = dropped ? 'it follows an entry that drops, which a SegmentPolicy cannot say' : readEntry(name, direction, ace.matches);
    if (typeof entry === 'string') mud.leftOut.push(`${name}: ${entry}`);
    else mud.entries.push(entry);
  });
}

function readEntry(name: string, direction: Entry['direction'], value: unknown): Entry | string {
  const matches = object(value ?? {}, `matches of ${quoted(name)}`);
  const unknown = Object.keys(matches).find((key) => !['ipv4', 'ipv6', 'tcp', 'udp', 'ietf-mud:mud'].includes(key));
  if (unknown !== undefined) return `it matches by ${quoted(unknown)}, which a SegmentPolicy cannot say`;
  if (matches.tcp !== undefined && matches.udp !== undefined) return 'it matches TCP and UDP at once, which nothing is';
  const l3 = { ...optional(matches.ipv4, name), ...optional(matches.ipv6, name) };
  const l4 = optional(matches.tcp ?? matches.udp, name);
  const peer = readPeer(direction, l3, optional(matches['ietf-mud:mud'], name));
  if (typeof peer === 'string') return peer;
  const protocol = protocolOf(matches, l3.protocol);
  if (typeof protocol === 'string' && protocol !== 'TCP' && protocol !== 'UDP') return protocol;
  const [source, destination] = [readPorts(l4['source-port']), readPorts(l4['destination-port'])];
  if (typeof source === 'string') return source;
  if (typeof destination === 'string') return destination;
  const left = Object.keys(l4).find((key) => !['source-port', 'destination-port', 'ietf-mud:direction-initiated'].includes(key));
  if (left !== undefined) return `it matches by ${quoted(left)}, which a SegmentPolicy cannot say`;
  const initiated = l4['ietf-mud:direction-initiated'];
  if (initiated !== undefined && initiated !== 'from-device' && initiated !== 'to-device')
    return 'its direction-initiated is neither from-device nor to-device';
  return { name, direction, initiated, peer, protocol, source, destination };
}

function readPeer(direction: Entry['direction'], l3: Record<string, unknown>, mud: Record<string, unknown>): Peer | string {
  const end = direction === 'from-device' ? 'destination' : 'source';
  const dns = `ietf-acldns:${direction === 'from-device' ? 'dst' : 'src'}-dnsname`;
  const found: Peer[] = [];
  for (const [key, value] of Object.entries(l3)) {
    if (key === 'protocol') continue;
    if (typeof value !== 'string' || value.length > 255) return `its ${quoted(key)} is no text of at most 255 characters`;
    if (key === `${end}-ipv4-network` || key === `${end}-ipv6-network`) {
      const cidr = networkOf(value);
      if (cidr === undefined) return `${quoted(value)} is no network`;
      found.push(cidr.endsWith('/0') ? { kind: 'anybody' } : { kind: 'cidr', cidr });
    } else if (key === dns && /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?$/.test(value)) found.push({ kind: 'dns', name: value });
    else if (key === dns) return `${quoted(value)} is no DNS name`;
    else return `it matches by ${quoted(key)}, which a SegmentPolicy cannot say`;
  }
  for (const [key, value] of Object.entries(mud)) {
    if (key === 'my-controller' || key === 'same-manufacturer' || key === 'local-networks') found.push({ kind: key });
    else if (key === 'controller' || key === 'manufacturer' || key === 'model') {
      if (typeof value !== 'string' || !/^[!-~]{1,255}$/.test(value))
        return `its ${quoted(key)} is no URI or name of at most 255 printable characters`;
      found.push({ kind: key, name: value });
    } else return `it matches by ${quoted(key)}, which a SegmentPolicy cannot say`;
  }
  if (found.length > 1) return 'it names several peers at once';
  return found[0] ?? { kind: 'anybody' };
}

function protocolOf(matches: Record<string, unknown>, number: unknown): Entry['protocol'] | string {
  const named = matches.tcp === undefined ? (matches.udp === undefined ? undefined : 'UDP') : 'TCP';
  const numbered = number === 6 ? 'TCP' : number === 17 ? 'UDP' : undefined;
  if (number !== undefined && numbered === undefined) return `IP protocol ${quoted(String(number))} is neither TCP nor UDP`;
  return named !== undefined && numbered !== undefined && named !== numbered
    ? 'its protocol number contradicts its ports'
    : (named ?? numbered);
}

function readPorts(value: unknown): Ports | string {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null) return 'its port is not an object';
  const { operator, port, 'lower-port': lower, 'upper-port': upper } = value as Record<string, unknown>;
  if (isPort(lower) && isPort(upper) && lower <= upper && operator === undefined) return { from: lower, to: upper };
  if (!isPort(port)) return 'its port is no number of 1 to 65535';
  if (operator === undefined || operator === 'eq') return { from: port, to: port };
  if (operator === 'lte') return { from: 1, to: port };
  if (operator === 'gte') return { from: port, to: 65_535 };
  return `it compares ports by ${quoted(String(operator))}`;
}

const isPort = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;

function aclsByName(file: Record<string, unknown>): Map<string, readonly unknown[]> {
  const acls = object(file['ietf-access-control-list:acls'], 'ietf-access-control-list:acls').acl;
  if (!Array.isArray(acls) || acls.length > MAX_ACLS) throw new MudRefused(`acls.acl is no list of at most ${MAX_ACLS} access lists`);
  const byName = new Map<string, readonly unknown[]>();
  for (const value of acls) {
    const acl = object(value, 'an access list');
    const name = label(acl.name, 'an access list');
    const entries = object(acl.aces ?? {}, `aces of ${quoted(name)}`).ace ?? [];
    if (!Array.isArray(entries)) throw new MudRefused(`aces.ace of ${quoted(name)} is no list`);
    if (byName.has(name)) throw new MudRefused(`there are two access lists ${quoted(name)}`);
    byName.set(name, entries);
  }
  return byName;
}

function aclNames(policy: unknown, direction: string): string[] {
  if (policy === undefined) return [];
  const lists = object(object(policy, `${direction}-policy`)['access-lists'], `${direction}-policy.access-lists`)['access-list'];
  if (!Array.isArray(lists) || lists.length > MAX_ACLS)
    throw new MudRefused(`${direction}-policy names no list of at most ${MAX_ACLS} access lists`);
  const names = lists.map((value) => label(object(value, 'an access-list').name, 'an access-list'));
  return [...new Set(names)];
}

/** RFC 8520 §3.5: https, and nothing of a person in it. */
function mudUrl(value: unknown): string {
  if (typeof value !== 'string' || value.length > 255 || !/^[!-~]+$/.test(value) || !URL.canParse(value))
    throw new MudRefused('mud-url is no URL of at most 255 characters');
  const url = new URL(value);
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '')
    throw new MudRefused('mud-url is no https URL without user and password');
  return url.href;
}

function short(value: unknown, name: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string' || value.length > 255) throw new MudRefused(`${name} is no text of at most 255 characters`);
  return value.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ').trim();
}

function label(value: unknown, what: string): string {
  if (typeof value !== 'string' || value.length > MAX_NAME || !/^[\w.: -]+$/.test(value))
    throw new MudRefused(`the name of ${what} is no text of at most ${MAX_NAME} letters, digits and . : - _`);
  return value;
}

function optional(value: unknown, name: string): Record<string, unknown> {
  return value === undefined ? {} : object(value, `a match of ${quoted(name)}`);
}

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new MudRefused(`${what} is missing or not an object`);
  return value as Record<string, unknown>;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MudRefused('it is not JSON');
  }
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, MAX_NAME));
