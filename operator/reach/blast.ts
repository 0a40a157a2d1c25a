// How far something comes that has taken a device: over ports and topics, from one to the next. Pure.
import { type Arrow, type Graph, graphOf, type Node } from './arrows.ts';
import { byCodeUnits, workloadText } from './connections.ts';
import type { Intent } from './intent.ts';
import { portWords } from './intent-relation.ts';
import { podsOf } from './network-answer.ts';
import type { Survey } from './survey.ts';

/** Reached at this hop, first from `from`; `devices`: how many others of them there are in that segment. */
export type Reached = {
  hop: number;
  from: string;
  to: string;
  kind: Node['kind'];
  ports: readonly string[];
  topics: readonly string[];
  devices: number;
};
export type Blast = { reached: readonly Reached[]; devices: number };
type Step = Omit<Reached, 'hop'>;

/**
 * What `device` (`<namespace>/<name>`) reaches in at most `hops` steps. From the second step on, whoever reached a segment is taken to have all its devices and pods: more than
 * a worm may get, never less.
 */
export function blastOf(survey: Survey, intent: Intent, device: string, hops: number): Blast {
  const graph = graphOf(survey);
  const counts = othersBySegment(graph, survey, device);
  const bySource = Map.groupBy(graph.arrows, ({ from }) => from.text);
  const aliases = aliasesOf(survey);
  const own = podsOf({ device }, survey).flatMap((key) => survey.facts.pods.get(key) ?? []);
  const leaving = (text: string): Step[] => (bySource.get(text) ?? []).map((arrow) => stepOf(arrow, counts));
  const reached = new Map<string, Reached>();
  let steps = [...ownSteps(intent, device, counts), ...own.flatMap((pods) => leaving(workloadText(pods)))].map((step) => ({
    ...step,
    from: `Device ${device}`,
  }));
  for (let hop = 1; hop <= hops && steps.length > 0; hop++) {
    const fresh = visit(reached, hop, steps);
    steps = fresh.flatMap((text) => [text, ...(aliases.get(text) ?? [])]).flatMap(leaving);
  }
  const sorted = [...reached.values()].sort((a, b) => a.hop - b.hop || byCodeUnits(a.to, b.to));
  return { reached: sorted, devices: sorted.reduce((sum, { devices }) => sum + devices, 0) };
}

function othersBySegment({ segments }: Graph, { facts, lifecycles }: Survey, device: string): Map<string, number> {
  const own = lifecycles.get(device) === 'Active' ? facts.devices.get(device)?.segment : undefined;
  return new Map(segments.map(({ key, devices }) => [key, key === own ? devices - 1 : devices]));
}

function ownSteps(intent: Intent, device: string, counts: ReadonlyMap<string, number>): Step[] {
  return intent.edges(device).map(({ from, to, ports, topics, devicePairs }) => ({
    ...{ from, to, topics, devices: devicePairs },
    kind: counts.has(to) ? ('segment' as const) : ('addresses' as const),
    ports: portWords(ports),
  }));
}

const stepOf = ({ from, to, ports, topics }: Arrow, counts: ReadonlyMap<string, number>): Step => ({
  ...{ from: from.text, to: to.text, kind: to.kind, ports, topics },
  devices: counts.get(to.text) ?? 0,
});

/** Who has the one has the other: the pods of a segment, and the segments of pods. */
function aliasesOf({ facts, podsPlaces }: Survey): Map<string, string[]> {
  const aliases = new Map<string, string[]>();
  const add = (text: string, alias: string): void => {
    const known = aliases.get(text);
    if (known === undefined) aliases.set(text, [alias]);
    else if (!known.includes(alias)) known.push(alias);
  };
  for (const [key, pods] of facts.pods) {
    for (const zone of podsPlaces.get(key)?.zones ?? []) {
      add(zone.key, workloadText(pods));
      add(workloadText(pods), zone.key);
    }
  }
  return aliases;
}

/** Gives what was not reached before. A segment of which one device was reached and later all counts as all. */
function visit(reached: Map<string, Reached>, hop: number, steps: readonly Step[]): string[] {
  const fresh: string[] = [];
  for (const step of steps) {
    const before = reached.get(step.to);
    if (before === undefined) fresh.push(step.to);
    if (before === undefined) reached.set(step.to, { hop, ...step });
    else if (step.devices > before.devices) reached.set(step.to, { ...before, devices: step.devices });
  }
  return fresh;
}
