// What a change of manifests changes for whom: ways between segments, connections of pods, and devices that stand elsewhere. Pure.
import { graphOf } from './arrows.ts';
import type { BrokerWay, Pending } from './broker-fleet.ts';
import { byCodeUnits, connectionsOf, workloadText } from './connections.ts';
import { differencesOf, type Relation } from './connections-diff.ts';
import type { Edge } from './intent.ts';
import type { Grant } from './intent-grants.ts';
import { portWords } from './intent-relation.ts';
import { type Connections, connectionsText, difference, isNothing } from './ports.ts';
import type { Survey } from './survey.ts';
import type { Verifier } from './verifier.ts';

/** `by` is a port, a topic, or what NetworkPolicies let through. `rules`: of the broker, which let it and will until somebody changes them. */
export type ChangedPair = { from: string; to: string; by: string; rules?: readonly Grant[] };
export type ChangedDevice = { device: string; before: string | undefined; after: string | undefined };
export type ReachChange = { reachable: readonly ChangedPair[]; blocked: readonly ChangedPair[]; devices: readonly ChangedDevice[] };

/**
 * Where the broker's rules were read, they are what is in force of topics before, whatever the manifests said: what of `after` they do not hold is new, and what they hold beyond it goes.
 * Devices that stand elsewhere say where: `<namespace>/<segment>, <lifecycle>`; what those reach more and less stands among the pairs, where they are on both sides.
 */
export function reachChange(before: Verifier, after: Verifier): ReachChange {
  const devices = devicesChange(before.survey, after.survey);
  const moved = devices.flatMap((one) => (one.before === undefined || one.after === undefined ? [] : [one.device]));
  const [old, now] = [before, after].map((verifier) => waysOf(verifier, moved)) as [Ways, Ways];
  const pods = podsChange(before.survey, after.survey);
  const fleet = after.fleet();
  return {
    reachable: [...missingFrom(old, now), ...pods.reachable, ...(fleet?.pending() ?? []).map(pairOf)].sort(comparePairs),
    blocked: [...missingFrom(now, old), ...pods.blocked, ...(fleet?.ways() ?? []).flatMap(ungranted)].sort(comparePairs),
    devices,
  };
}

const pairOf = ({ from, to, topic }: Pending): ChangedPair => ({ from, to, by: topic });
const ungranted = ({ from, to, topics, grants, unsure, meant }: BrokerWay): ChangedPair[] =>
  unsure || meant ? [] : topics.map((by) => ({ from, to, by, rules: grants }));

type Ways = ReadonlyMap<string, ChangedPair>;

function waysOf(verifier: Verifier, devices: readonly string[]): Ways {
  const { intent } = verifier;
  const byManifests = verifier.fleet() === undefined;
  const between = graphOf(verifier).arrows.flatMap(({ from, to, ports, topics, by }) =>
    by === 'SegmentPolicies' ? [...ports, ...topics].map((way): ChangedPair => ({ from: from.text, to: to.text, by: way })) : [],
  );
  const ofDevices = devices.flatMap((device) =>
    intent.edges(device).flatMap((edge) => pairsOf(`Device ${device}`, byManifests ? edge : { ...edge, topics: [] })),
  );
  return new Map([...between, ...ofDevices].map((pair) => [JSON.stringify(pair), pair]));
}

const pairsOf = (from: string, { to, ports, topics }: Edge): ChangedPair[] =>
  [...portWords(ports), ...topics].map((by) => ({ from, to, by }));

const missingFrom = (some: Ways, all: Ways): ChangedPair[] => [...all].flatMap(([key, pair]) => (some.has(key) ? [] : [pair]));

function podsChange(before: Survey, after: Survey): Pick<ReachChange, 'reachable' | 'blocked'> {
  const reachable: ChangedPair[] = [];
  const blocked: ChangedPair[] = [];
  for (const { from, to, before: then, after: later } of differencesOf(relationOf(before), relationOf(after))) {
    const pair = (by: string): ChangedPair => ({ from: from.text, to: to.text, by });
    const [more, less] = [without(later, then), without(then, later)];
    if (more !== undefined) reachable.push(pair(more));
    if (less !== undefined) blocked.push(pair(less));
  }
  return { reachable, blocked };
}

const relationOf = ({ world, isClosed }: Survey): Relation => ({
  connections: connectionsOf(world, isClosed),
  workloads: new Set(world.pods.map(workloadText)),
});

function without(all: Connections, some: Connections): string | undefined {
  const left = difference(all, some);
  return isNothing(left) ? undefined : connectionsText(left);
}

function devicesChange(before: Survey, after: Survey): ChangedDevice[] {
  const [old, now] = [standings(before), standings(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])].sort(byCodeUnits);
  return names.flatMap((device) =>
    old.get(device) === now.get(device) ? [] : [{ device, before: old.get(device), after: now.get(device) }],
  );
}

const standings = ({ facts, lifecycles }: Survey): Map<string, string> =>
  new Map([...facts.devices.values()].map(({ key, segment }) => [key, `${segment}, ${lifecycles.get(key) ?? 'Active'}`]));

const comparePairs = (a: ChangedPair, b: ChangedPair): number =>
  byCodeUnits(a.from, b.from) || byCodeUnits(a.to, b.to) || byCodeUnits(a.by, b.by);
