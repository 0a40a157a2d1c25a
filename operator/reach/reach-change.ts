// What a change of manifests changes for whom: ways between segments, connections of pods, and devices that stand elsewhere. Pure.
import { graphOf } from './arrows.ts';
import { byCodeUnits, connectionsOf, workloadText } from './connections.ts';
import { differencesOf, type Relation } from './connections-diff.ts';
import type { Edge } from './intent.ts';
import { portWords } from './intent-relation.ts';
import { type Connections, connectionsText, difference, isNothing } from './ports.ts';
import type { Survey } from './survey.ts';
import type { Verifier } from './verifier.ts';

/** `by` is a port, a topic, or what NetworkPolicies let through. */
export type ChangedPair = { from: string; to: string; by: string };
export type ChangedDevice = { device: string; before: string | undefined; after: string | undefined };
export type ReachChange = { reachable: readonly ChangedPair[]; blocked: readonly ChangedPair[]; devices: readonly ChangedDevice[] };

/** Devices that stand elsewhere say where: `<namespace>/<segment>, <lifecycle>`; what those reach more and less stands among the pairs, where they are on both sides. */
export function reachChange(before: Verifier, after: Verifier): ReachChange {
  const devices = devicesChange(before.survey, after.survey);
  const moved = devices.flatMap((one) => (one.before === undefined || one.after === undefined ? [] : [one.device]));
  const [old, now] = [before, after].map((verifier) => waysOf(verifier, moved)) as [Ways, Ways];
  const pods = podsChange(before.survey, after.survey);
  return {
    reachable: [...missingFrom(old, now), ...pods.reachable].sort(comparePairs),
    blocked: [...missingFrom(now, old), ...pods.blocked].sort(comparePairs),
    devices,
  };
}

type Ways = ReadonlyMap<string, ChangedPair>;

function waysOf({ survey, intent }: Verifier, devices: readonly string[]): Ways {
  const between = graphOf(survey).arrows.flatMap(({ from, to, ports, topics, by }) =>
    by === 'SegmentPolicies' ? [...ports, ...topics].map((way): ChangedPair => ({ from: from.text, to: to.text, by: way })) : [],
  );
  const ofDevices = devices.flatMap((device) => intent.edges(device).flatMap((edge) => pairsOf(`Device ${device}`, edge)));
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
