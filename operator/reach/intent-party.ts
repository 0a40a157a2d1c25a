// Who is asked about: a device, a segment, pods or an address. What of the model holds for it.
import { type AddressRange, rangeOf } from './addresses.ts';
import type { Facts, Lifecycle } from './intent-facts.ts';
import type { Standing } from './intent-grants.ts';
import type { Relation } from './intent-relation.ts';
import { matches } from './label-selector.ts';

/** Keys are `<namespace>/<name>`; pods as `<namespace>/<name>[<kind>]`. */
export type Party = { device: string } | { segment: string } | { pods: string } | { address: string };

export type Place = {
  text: string;
  /** The segments in force that it is in: one, or none; of pods more than one when they conflict. */
  zones: readonly Standing[];
  /** Its segments for topics: only devices have any. */
  topics: Standing | undefined;
  /** `<device>.<namespace>` when one device is meant. */
  wireName: string | undefined;
  lifecycle: Lifecycle;
  /** Whether segments or a site say what it may; what is outside of both is nobody's business. */
  regulated: boolean;
  address: AddressRange | undefined;
  /** Why nothing can be said of it, or why nothing is in force. */
  problems: readonly string[];
};

export function partyText(party: Party): string {
  if ('device' in party) return `Device ${party.device}`;
  if ('segment' in party) return `segment ${party.segment}`;
  return 'pods' in party ? `pods ${party.pods}` : `address ${party.address.slice(0, 60)}`;
}

const SITE_LABEL = 'hedgerow.dev/site';
const DEVICE_LABEL = 'hedgerow.dev/device';

export function placeOf(party: Party, facts: Facts, relation: Relation, lifecycles: ReadonlyMap<string, Lifecycle>): Place {
  if ('device' in party) return devicePlace(party.device, facts, relation, lifecycles);
  if ('pods' in party) return podsPlace(party.pods, facts, relation, lifecycles);
  if ('address' in party) return addressPlace(party.address);
  const zone = relation.standings.get(party.segment);
  const zones = zone === undefined ? [] : [zone];
  const problems = zone === undefined ? [notInForce(party.segment, relation)] : [];
  return { ...NOWHERE, text: partyText(party), zones, topics: zone, problems };
}

const NOWHERE = {
  zones: [],
  topics: undefined,
  wireName: undefined,
  lifecycle: 'Active' as const,
  regulated: true,
  address: undefined,
  problems: [],
};

function devicePlace(key: string, facts: Facts, relation: Relation, lifecycles: ReadonlyMap<string, Lifecycle>): Place {
  const text = partyText({ device: key });
  const device = facts.devices.get(key);
  if (device === undefined) return { ...NOWHERE, text, problems: [`there is no ${text}`] };
  const lifecycle = lifecycles.get(key) ?? 'Active';
  const zone = relation.standings.get(device.segment);
  const problems = [...standingOf(text, lifecycle), ...(zone === undefined ? [notInForce(device.segment, relation)] : [])];
  return { ...NOWHERE, text, zones: zone === undefined ? [] : [zone], topics: zone, wireName: device.wireName, lifecycle, problems };
}

/** Pods are in the segments whose workloads select them; as a Device they say so by a label. */
function podsPlace(key: string, facts: Facts, relation: Relation, lifecycles: ReadonlyMap<string, Lifecycle>): Place {
  const pods = facts.pods.get(key);
  if (pods === undefined) return { ...NOWHERE, text: key, problems: [`there are no pods ${key}`] };
  const zones = [...relation.standings.values()].filter(
    ({ namespace, workloads }) => namespace === pods.namespace && workloads.some((one) => matches(one, pods.labels)),
  );
  const shut = [...relation.readings.values()].filter(
    (reading) => reading.key.startsWith(`${pods.namespace}/`) && reading.shut.some((one) => matches(one, pods.labels)),
  );
  const site = facts.namespaces.get(pods.namespace)?.has(SITE_LABEL) ?? false;
  const device = `${pods.namespace}/${pods.labels.get(DEVICE_LABEL) ?? ''}`;
  const known = facts.devices.get(device);
  const lifecycle = lifecycles.get(device) ?? 'Active';
  const problems = [
    ...standingOf(`Device ${device}`, lifecycle),
    ...(zones.length > 0 ? [] : shut.map((reading) => notInForce(reading.key, relation))),
    ...(zones.length + shut.length > 0 || !site ? [] : [`no SegmentPolicy has the pods ${key}, and their namespace is a site`]),
  ];
  const topics = known === undefined ? undefined : relation.standings.get(known.segment);
  const regulated = zones.length > 0 || shut.length > 0 || site || lifecycle !== 'Active';
  return { ...NOWHERE, text: partyText({ pods: key }), zones, topics, wireName: known?.wireName, lifecycle, regulated, problems };
}

function addressPlace(text: string): Place {
  const address = rangeOf(text);
  const problems = address === undefined ? [`${JSON.stringify(text.slice(0, 60))} is no address`] : [];
  return { ...NOWHERE, text: partyText({ address: text }), address, regulated: false, problems };
}

function standingOf(text: string, lifecycle: Lifecycle): string[] {
  if (lifecycle === 'Active') return [];
  return [
    `${text} is ${lifecycle}: ${lifecycle === 'Revoked' ? 'it has nothing any more' : 'it keeps its firmware and recovery topics only'}`,
  ];
}

function notInForce(key: string, { readings }: Relation): string {
  const reading = readings.get(key);
  if (reading === undefined) return `there is no SegmentPolicy ${key}`;
  const why = reading.refused.length > 0 ? reading.refused.join('; ') : 'it is in mode: Audit and was never enforced';
  return `SegmentPolicy ${key} is not in force: ${why}`;
}
