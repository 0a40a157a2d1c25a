// How far something comes that has taken a device: over ports and topics, from one to the next. Pure.
import { type Arrow, type Graph, graphOf, type Node } from './arrows.ts';
import { byCodeUnits, workloadText } from './connections.ts';
import { meetingText } from './intent-filter.ts';
import { portWords } from './intent-relation.ts';
import { podsOf } from './network-answer.ts';
import type { Survey } from './survey.ts';
import type { Verifier } from './verifier.ts';

/** Reached at this hop, first from `from`; `devices`: how many others of them there are in that segment. */
export type Reached = {
  hop: number;
  from: string;
  to: string;
  kind: Node['kind'];
  ports: readonly string[];
  topics: readonly string[];
  devices: number;
  /** Some of it rests on rules of the broker that are not understood. */
  unsure?: true;
};
/** From devices of the segment `from` it hears `topics`. */
export type Heard = { from: string; topics: readonly string[]; unsure?: true };
export type Blast = { reached: readonly Reached[]; devices: number; hears: readonly Heard[] };
type Step = Omit<Reached, 'hop'>;

/**
 * What `device` (`<namespace>/<name>`) reaches in at most `hops` steps. From the second step on, whoever reached a segment is taken to have all its devices and pods: more than
 * a worm may get, never less.
 */
export function blastOf(verifier: Verifier, device: string, hops: number): Blast {
  const { survey } = verifier;
  const graph = graphOf(verifier);
  const counts = othersBySegment(graph, survey, device);
  const bySource = Map.groupBy(graph.arrows, ({ from }) => from.text);
  const aliases = aliasesOf(survey);
  const own = podsOf({ device }, survey).flatMap((key) => survey.facts.pods.get(key) ?? []);
  const leaving = (text: string): Step[] => (bySource.get(text) ?? []).map((arrow) => stepOf(arrow, counts));
  const reached = new Map<string, Reached>();
  let steps = [...ownSteps(verifier, device, counts), ...own.flatMap((pods) => leaving(workloadText(pods)))].map((step) => ({
    ...step,
    from: `Device ${device}`,
  }));
  for (let hop = 1; hop <= hops && steps.length > 0; hop++) {
    const fresh = visit(reached, hop, steps);
    steps = fresh.flatMap((text) => [text, ...(aliases.get(text) ?? [])]).flatMap(leaving);
  }
  const sorted = [...reached.values()].sort((a, b) => a.hop - b.hop || byCodeUnits(a.to, b.to));
  return { reached: sorted, devices: sorted.reduce((sum, { devices }) => sum + devices, 0), hears: heardBy(verifier, device) };
}

function othersBySegment({ segments }: Graph, { facts, lifecycles }: Survey, device: string): Map<string, number> {
  const own = lifecycles.get(device) === 'Active' ? facts.devices.get(device)?.segment : undefined;
  return new Map(segments.map(({ key, devices }) => [key, key === own ? devices - 1 : devices]));
}

function ownSteps({ intent, fleet }: Verifier, device: string, counts: ReadonlyMap<string, number>): Step[] {
  const ways = fleet(device)?.from(device);
  const meant = intent.edges(device).flatMap(({ from, to, ports, topics, devicePairs }): Step[] => {
    const kind = counts.has(to) ? 'segment' : 'addresses';
    if (ways === undefined) return [{ ...{ from, to, kind, topics, devices: devicePairs }, ports: portWords(ports) }];
    return ports.length === 0 ? [] : [{ ...{ from, to, kind, topics: [], devices: counts.get(to) ?? 0 }, ports: portWords(ports) }];
  });
  const heard = [...Map.groupBy(ways ?? [], ({ to }) => to)].map(([to, some]): Step => {
    const devices = new Set(some.flatMap(({ hearers }) => [...hearers()])).size;
    const topics = some.flatMap(({ topics: part }) => part);
    return {
      ...{ from: some[0]?.from ?? '', to, kind: 'segment', ports: [], topics, devices },
      ...(some.some(({ unsure }) => unsure) ? { unsure: true } : {}),
    };
  });
  return [...Map.groupBy([...meant, ...heard], ({ to }) => to).values()].map((steps) => steps.reduce(together));
}

/** Ports lead to all of a segment, topics to some. */
const together = (a: Step, b: Step): Step => ({
  ...a,
  ...{ ports: [...a.ports, ...b.ports], topics: [...a.topics, ...b.topics], devices: Math.max(a.devices, b.devices) },
  ...(a.unsure || b.unsure ? { unsure: true } : {}),
});

/** Who has the device hears what it may subscribe to. */
function heardBy({ survey, fleet }: Verifier, device: string): Heard[] {
  const ways = fleet(device)?.to(device);
  if (ways !== undefined) return ways.map(({ from, topics, unsure }) => ({ from, topics, ...(unsure ? { unsure } : {}) }));
  const { segment, wireName } = survey.facts.devices.get(device) ?? {};
  if (survey.lifecycles.get(device) !== 'Active') return [];
  return [...survey.relation.pairs.values()]
    .filter(({ to }) => to === segment)
    .map(({ from, passages }) => ({
      from,
      topics: [...new Set(passages.filter(({ subscriber = wireName }) => subscriber === wireName).map(meetingText))].sort(byCodeUnits),
    }))
    .filter(({ topics }) => topics.length > 0)
    .sort((a, b) => byCodeUnits(a.from, b.from));
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
