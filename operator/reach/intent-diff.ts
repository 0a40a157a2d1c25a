// What a change of manifests changes in who may reach whom. Pure.
import type { Intent } from './intent.ts';
import { portWords } from './intent-relation.ts';

/** Each a line such as `berlin/sensors -> berlin/gateways by TCP 8883`, or `Device berlin/t-17 is in berlin/sensors, Active`. Sorted. */
export type IntentDifference = { added: readonly string[]; removed: readonly string[] };

export function intentDifference(before: Intent, after: Intent): IntentDifference {
  const [old, now] = [linesOf(before), linesOf(after)];
  return { added: missingFrom(old, now), removed: missingFrom(now, old) };
}

/** Equal lines mean equal answers: what is between the segments, and which device is where. */
function linesOf(intent: Intent): Set<string> {
  const ways = intent
    .edges()
    .flatMap(({ from, to, ports, topics }) => [
      ...portWords(ports).map((port) => `${from} -> ${to} by ${port}`),
      ...topics.map((topic) => `${from} -> ${to} by ${topic}`),
    ]);
  const places = intent.devices().map(({ key, segment, lifecycle }) => `Device ${key} is in ${segment}, ${lifecycle}`);
  return new Set([...ways, ...places]);
}

const missingFrom = (some: ReadonlySet<string>, all: ReadonlySet<string>): string[] => [...all].filter((line) => !some.has(line)).sort();
