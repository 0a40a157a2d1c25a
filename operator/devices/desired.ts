// What the broker should hold, derived from the ledger, the Devices and the segments. Pure: the broker room compares it with what EMQX says and repairs.
import type { ClientRule, DesiredBroker, SegmentRights } from '../broker/broker.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import type { Lifecycle } from './summary.ts';

/** One Device as far as the broker is concerned. */
export type BrokerDevice = {
  /** `<device>.<namespace>` */
  name: string;
  uid: string;
  /** `<segment>.<namespace>` that the manifest names */
  segment: string;
  lifecycle: Lifecycle;
};

export type DesiredInput = {
  devices: Iterable<BrokerDevice>;
  entries: Iterable<LedgerEntry>;
  rights: SegmentRights[];
  now: number;
};

export type Judgement = 'ok' | 'unknown' | 'revoked' | 'inactive';

/** Bans come from the ledger (they outlive their Device) and from Devices that are revoked now; overrides only from living Devices. */
export function desiredBroker(input: DesiredInput): Omit<DesiredBroker, 'judge' | 'segmentOf'> {
  const devices = [...input.devices];
  const entries = [...input.entries];
  return {
    segments: input.rights,
    bans: [...certificateBans(entries, input.now), ...identityBans(devices)],
    overrides: overrides(devices, entries, input.rights),
  };
}

/** Is the holder of this certificate who it says, and should it be connected? `md5` is the user name that the broker forces from the certificate. */
export function judgeConnection(client: string, entry: LedgerEntry | undefined, device: BrokerDevice | undefined): Judgement {
  if (entry === undefined || entry.device !== client) return 'unknown';
  if (entry.revoked !== undefined) return 'revoked';
  if (device === undefined || device.uid !== entry.deviceUid) return 'inactive';
  return device.lifecycle === 'Revoked' ? 'revoked' : 'ok';
}

/** Names of the devices that could connect: not revoked, and with a certificate of their own that is neither revoked nor over. */
export function certificateHolders(devices: Iterable<BrokerDevice>, entries: Iterable<LedgerEntry>, now: number): string[] {
  const held = new Set<string>();
  for (const entry of entries)
    if (entry.revoked === undefined && Date.parse(entry.notAfter) > now) held.add(`${entry.device} ${entry.deviceUid}`);
  return [...devices].filter(({ name, uid, lifecycle }) => lifecycle !== 'Revoked' && held.has(`${name} ${uid}`)).map(({ name }) => name);
}

/** A certificate is banned by its MD5 until it expires, so that its successor is not touched. */
function certificateBans(entries: LedgerEntry[], now: number): DesiredBroker['bans'] {
  return entries
    .filter((entry) => entry.revoked !== undefined && Date.parse(entry.notAfter) > now)
    .map((entry) => ({
      as: 'username',
      who: entry.md5,
      until: entry.notAfter,
      reason: `certificate ${entry.revoked?.reason ?? 'Revoked'}`,
      by: `hedgerow/${entry.device}`,
    }));
}

/** A revoked Device is banned by name as long as it is revoked: this ban also closes the session at once (emqx.md §1.5). */
function identityBans(devices: BrokerDevice[]): DesiredBroker['bans'] {
  return devices
    .filter((device) => device.lifecycle === 'Revoked')
    .map((device) => ({ as: 'clientid', who: device.name, until: 'infinity', reason: 'device revoked', by: `hedgerow/${device.name}` }));
}

function overrides(devices: BrokerDevice[], entries: LedgerEntry[], rights: SegmentRights[]): DesiredBroker['overrides'] {
  const unrevoked = new Map<string, LedgerEntry[]>();
  // Also those that have expired: the broker ends neither their connections nor their sessions.
  for (const entry of entries)
    if (entry.revoked === undefined) unrevoked.set(entry.device, [...(unrevoked.get(entry.device) ?? []), entry]);
  const bySegment = new Map(rights.map((right) => [right.segment, right]));
  return devices.flatMap((device): DesiredBroker['overrides'] => {
    if (device.lifecycle === 'Quarantined') return [{ client: device.name, kind: 'quarantine', rules: [] }];
    if (device.lifecycle === 'Revoked') return [];
    // An old certificate names the old segment: until it is gone, the manifest's segment holds by override (design/api.md, segment move).
    if (ofOtherSegments(device, unrevoked.get(device.name) ?? []).length === 0) return [];
    return [{ client: device.name, kind: 'moved', rules: renderedRights(device, bySegment.get(device.segment)) }];
  });
}

/** Certificates of this very Device that give the rights of another segment, unless something of its own keeps them from it. */
export function ofOtherSegments(device: Pick<BrokerDevice, 'uid' | 'segment'>, entries: readonly LedgerEntry[]): LedgerEntry[] {
  return entries.filter((entry) => entry.deviceUid === device.uid && entry.revoked === undefined && entry.segment !== device.segment);
}

function renderedRights(device: BrokerDevice, rights: SegmentRights | undefined): ClientRule[] {
  if (rights === undefined) return [];
  const literal = (topic: string): string => topic.replaceAll('{device}', device.name).replaceAll('{segment}', device.segment);
  return [
    ...rights.publish.map(
      (right): ClientRule => ({
        topic: literal(right.topic),
        permission: 'allow',
        action: 'publish',
        ...(right.qosMax === undefined ? {} : { qos: ([0, 1, 2] as const).filter((qos) => qos <= (right.qosMax ?? 2)) }),
        ...(right.retain === undefined || right.retain ? {} : { retain: false }),
      }),
    ),
    ...rights.subscribe.map((right): ClientRule => ({ topic: literal(right.topic), permission: 'allow', action: 'subscribe' })),
  ];
}
