// What the intent is read from: SegmentPolicies, Devices, Namespaces, Interventions and pods, by key, so that one of them can change.
import { isObject, type Labels } from './label-selector.ts';
import { isName, isWorkloadKind, type Pods, readLabels, readPods } from './workload.ts';
import { flattened, type Manifest } from './world.ts';

/** From the mildest to the strictest; of a manifest and what people did by hand the stricter holds. */
const LIFECYCLES = ['Active', 'Quarantined', 'Revoked'] as const;
export type Lifecycle = (typeof LIFECYCLES)[number];
export type DeviceFact = { key: string /** `<name>.<namespace>` */; wireName: string; segment: string; lifecycle: Lifecycle };
type PolicyFact = { namespace: string; name: string; object: Record<string, unknown> };
type InterventionFact = { device: string; lifecycle: Lifecycle; ends: number };

/** Keys are `<namespace>/<name>`; of pods the kind too, of namespaces the name alone. */
export type Facts = {
  policies: Map<string, PolicyFact>;
  devices: Map<string, DeviceFact>;
  interventions: Map<string, InterventionFact>;
  namespaces: Map<string, Labels>;
  pods: Map<string, Pods>;
  /** Each in a sentence: what could not be read and is not taken into account. */
  omitted: string[];
};

export function readFacts(manifests: Iterable<Manifest>): Facts {
  const facts: Facts = {
    policies: new Map(),
    devices: new Map(),
    interventions: new Map(),
    namespaces: new Map(),
    pods: new Map(),
    omitted: [],
  };
  for (const { source, object } of flattened(manifests)) take(facts, source, object);
  return facts;
}

/** One object, new or in the place of the one of its name. */
export function take(facts: Facts, source: string, object: Record<string, unknown>): void {
  const place = placeOf(object);
  if (place === undefined) return;
  const { kind, namespace, name, key } = place;
  const leaveOut = (why: string): void => void facts.omitted.push(`${source}: ${kind} ${namespace}/${name.slice(0, 80) || '?'}: ${why}`);
  if (!isName(name) || !isName(namespace)) leaveOut('it has no proper name');
  else if (kind === 'SegmentPolicy') facts.policies.set(key, { namespace, name, object });
  else if (kind === 'Device') facts.devices.set(key, readDevice(namespace, name, object));
  else if (kind === 'Intervention') takeIntervention(facts, key, namespace, object.spec);
  else {
    const read = kind === 'Namespace' ? readLabels(object.metadata) : readPods(kind, namespace, name, object);
    if (typeof read === 'string') leaveOut(read);
    else if (read instanceof Map) facts.namespaces.set(name, read as Labels);
    else facts.pods.set(`${key}[${kind}]`, read as Pods);
  }
}

export function drop(facts: Facts, object: Record<string, unknown>): void {
  const place = placeOf(object);
  if (place === undefined) return;
  const { kind, name, key } = place;
  if (kind === 'SegmentPolicy') facts.policies.delete(key);
  else if (kind === 'Device') facts.devices.delete(key);
  else if (kind === 'Intervention') facts.interventions.delete(key);
  else if (kind === 'Namespace') facts.namespaces.delete(name);
  else facts.pods.delete(`${key}[${kind}]`);
}

/** How a Device stands at `now` (ms since the epoch), by its manifest and by hand. */
export function lifecyclesOf({ devices, interventions }: Facts, now: number): ReadonlyMap<string, Lifecycle> {
  const standing = new Map<string, Lifecycle>();
  for (const { key, lifecycle } of devices.values()) standing.set(key, lifecycle);
  for (const { device, lifecycle, ends } of interventions.values())
    if (ends > now) standing.set(device, stricter(standing.get(device) ?? 'Active', lifecycle));
  return standing;
}

/** Names on the wire of those that are Active, by segment. */
export function activeMembers({ devices }: Facts, lifecycles: ReadonlyMap<string, Lifecycle>): ReadonlyMap<string, ReadonlySet<string>> {
  const members = new Map<string, Set<string>>();
  for (const { key, segment, wireName } of devices.values()) {
    if (lifecycles.get(key) !== 'Active') continue;
    const there = members.get(segment);
    if (there === undefined) members.set(segment, new Set([wireName]));
    else there.add(wireName);
  }
  return members;
}

const stricter = (a: Lifecycle, b: Lifecycle): Lifecycle => (LIFECYCLES.indexOf(a) > LIFECYCLES.indexOf(b) ? a : b);

type Place = { kind: string; namespace: string; name: string; key: string };

/** Kinds that say something about the intent; `hedgerow.dev` of somebody else's group does not count. */
function placeOf({ kind, apiVersion, metadata }: Record<string, unknown>): Place | undefined {
  if (typeof kind !== 'string') return undefined;
  const ours = kind === 'SegmentPolicy' || kind === 'Device' || kind === 'Intervention';
  if (!(ours ? typeof apiVersion === 'string' && apiVersion.startsWith('hedgerow.dev/') : kind === 'Namespace' || isWorkloadKind(kind)))
    return undefined;
  const place = isObject(metadata) ? metadata : {};
  const name = typeof place.name === 'string' ? place.name : '';
  const namespace = typeof place.namespace === 'string' && place.namespace !== '' ? place.namespace : 'default';
  return { kind, namespace, name, key: `${namespace}/${name}` };
}

/** A word that nobody knows closes; a Device that is being deleted is out. */
function readDevice(namespace: string, name: string, { spec, metadata }: Record<string, unknown>): DeviceFact {
  const fields = isObject(spec) ? spec : {};
  const written = fields.lifecycle ?? 'Active';
  const retired = isObject(metadata) && metadata.deletionTimestamp !== undefined;
  const lifecycle = retired ? 'Revoked' : (LIFECYCLES.find((one) => one === written) ?? 'Revoked');
  const segment = typeof fields.segment === 'string' ? fields.segment : '';
  return { key: `${namespace}/${name}`, wireName: `${name}.${namespace}`, segment: `${namespace}/${segment}`, lifecycle };
}

function takeIntervention(facts: Facts, key: string, namespace: string, spec: unknown): void {
  facts.interventions.delete(key);
  if (!isObject(spec) || !isObject(spec.target) || spec.target.kind !== 'Device' || typeof spec.target.name !== 'string') return;
  const lifecycle = spec.action === 'Quarantine' ? 'Quarantined' : spec.action === 'Revoke' ? 'Revoked' : undefined;
  if (lifecycle === undefined) return;
  const end = lifecycle === 'Quarantined' && typeof spec.expires === 'string' ? Date.parse(spec.expires) : Number.NaN;
  // One that cannot be read does not end.
  const ends = Number.isNaN(end) ? Number.POSITIVE_INFINITY : end;
  facts.interventions.set(key, { device: `${namespace}/${spec.target.name}`, lifecycle, ends });
}
