// Manifests read once for every question: segments in force, devices, pods and NetworkPolicies, where each of them is written, and what could not be read.
import { type Facts, type Lifecycle, lifecyclesOf } from './intent-facts.ts';
import { type Place, placeOf } from './intent-party.ts';
import type { Relation } from './intent-relation.ts';
import { isObject } from './label-selector.ts';
import type { Pods } from './workload.ts';
import { flattened, type Manifest, readWorld, type World } from './world.ts';

export type Survey = {
  facts: Facts;
  relation: Relation;
  lifecycles: ReadonlyMap<string, Lifecycle>;
  world: World;
  /** The objects of a cluster, and with them the NetworkPolicies that follow from SegmentPolicies. */
  live: boolean;
  /** Pods that NetworkPolicies shut which are not among these manifests: those that follow from segments and sites. */
  isClosed(pods: Pods): boolean;
  /** What holds for pods, by `<namespace>/<name>[<kind>]`. */
  podsPlaces: ReadonlyMap<string, Place>;
  /** `SegmentPolicy berlin/sensors` → the file that it stands in. */
  sources: ReadonlyMap<string, string>;
  /** Each in a sentence: what the answers do not take into account. */
  omitted: readonly string[];
};

/** `facts` and `relation` are those of the manifests. `now`: ms since the epoch. */
export function surveyOf(manifests: readonly Manifest[], facts: Facts, relation: Relation, now: number, live: boolean): Survey {
  const lifecycles = lifecyclesOf(facts, now);
  const world = { ...readWorld(manifests), pods: [...facts.pods.values()] };
  const podsPlaces = new Map([...facts.pods.keys()].map((key) => [key, placeOf({ pods: key }, facts, relation, lifecycles)]));
  const closed = new Set([...facts.pods].flatMap(([key, pods]) => (podsPlaces.get(key)?.regulated === true ? [pods] : [])));
  const { sources, twice } = sourcesOf(manifests);
  return {
    ...{ facts, relation, lifecycles, world, live, podsPlaces, sources },
    isClosed: (pods) => !live && closed.has(pods),
    // Facts leave out what the world leaves out too.
    omitted: [...new Set([...world.omitted, ...facts.omitted, ...twice, ...refusals(relation)])],
  };
}

const COUNTED = ['SegmentPolicy', 'Device', 'Intervention', 'Namespace', 'NetworkPolicy'];

/** Of two objects of one name in a directory, as overlays have them, nobody can say which one is meant. */
function sourcesOf(manifests: readonly Manifest[]): { sources: Map<string, string>; twice: string[] } {
  const sources = new Map<string, string>();
  const twice: string[] = [];
  for (const { source, object } of flattened(manifests)) {
    const { kind, metadata } = object;
    if (typeof kind !== 'string' || !COUNTED.includes(kind) || !isObject(metadata) || typeof metadata.name !== 'string') continue;
    const namespace = typeof metadata.namespace === 'string' && metadata.namespace !== '' ? metadata.namespace : 'default';
    const key = kind === 'Namespace' ? `Namespace ${metadata.name}` : `${kind} ${namespace}/${metadata.name}`;
    const before = sources.get(key);
    if (before !== undefined) twice.push(`${source}: ${key} stands in ${before} too; the last one counts`);
    sources.set(key, source);
  }
  return { sources, twice };
}

/** A policy that is refused closes; whoever asks what it opens has to know. */
function refusals({ readings }: Relation): string[] {
  return [...readings.values()].flatMap(({ key, refused }) =>
    refused.length === 0 ? [] : [`SegmentPolicy ${key} is not in force as written: ${refused.join('; ')}`],
  );
}
