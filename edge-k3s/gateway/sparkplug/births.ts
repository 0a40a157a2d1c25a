// What the metrics of a node are called: births say it, data messages give aliases only (§6.4.6). Kept in memory and in no journal: events of the core have the names
// already, and who is not known is asked for another birth. What may be wrong is forgotten: a wrong name would put one value in the place of another.
import type { SparkplugCode } from './codes.ts';
import { type Metric, numberOf, type Payload } from './payload.ts';
import { type Counters, numbersOf } from './replay.ts';
import type { SparkplugTopic } from './topic.ts';

/** Numbers by field. `taken`: the message is the last of its node from now on, and if it is a birth, its names are those of the node. */
export type Message = Counters & { m: Record<string, number>; taken(): void };

export type Births = {
  /** Undefined: a death, of which there is nothing more to say. */
  read(topic: SparkplugTopic, payload: Payload): Message | SparkplugCode | undefined;
  forget(device: string): void;
};

type Named = { field: string; datatype: number };
type Names = { byAlias: Map<number, Named>; byName: Map<string, Named> };
/** `seq`: as the replay window has it, of the last message. `attached`: by what is attached, '' for the node itself. */
type Node = { segment: string; seq: number; attached: Map<string, Names> };

/** A device has 128 series at most (core/detectors.ts); the rest is room for what is no number. */
const MOST_NAMES = 256;
/** Each is a stream, of which a device has as many (latest/latest.ts). */
const MOST_ATTACHED = 64;
/** Of the site: some 50 MB. */
const MOST_OF_ALL = 200_000;
const LONGEST_FIELD = 128;
const SEQS = 256;

export function createBirths({ mostOfAll = MOST_OF_ALL }: { mostOfAll?: number } = {}): Births {
  const nodes = new Map<string, Node>();
  let total = 0;

  function forget(device: string): void {
    total -= weightOf(nodes.get(device));
    nodes.delete(device);
  }

  /** Undefined: no birth of it was heard, or messages are missing since, and one of them may have been a birth. */
  function known({ device, segment }: SparkplugTopic, seq: number): Node | undefined {
    const node = nodes.get(device);
    // One that came before is for the replay window to refuse.
    const follows = node !== undefined && node.segment === segment && (seq <= node.seq || seq % SEQS === (node.seq + 1) % SEQS);
    if (!follows) forget(device);
    return follows ? node : undefined;
  }

  function born(node: Node, topic: SparkplugTopic, payload: Payload, numbers: Counters): Message | SparkplugCode {
    const { device, attached = '' } = topic;
    const names = namesOf(payload.metrics);
    if (names === undefined) return 'HR-GW-804';
    const replaced = node.attached.get(attached);
    const others = namesIn(node) - (replaced?.byName.size ?? 0);
    if (others + names.byName.size > MOST_NAMES || (replaced === undefined && node.attached.size > MOST_ATTACHED)) return 'HR-GW-804';
    const less = topic.type === 'NBIRTH' ? weightOf(nodes.get(device)) : weighed(replaced);
    if (total - less + weighed(names) > mostOfAll) return 'HR-GW-804';
    const m = valuesOf(names, payload.metrics);
    if (m === undefined) return 'HR-GW-803';
    function taken(): void {
      total += weighed(names) - less;
      if (names !== undefined) node.attached.set(attached, names);
      node.seq = Math.max(node.seq, numbers.seq);
      nodes.set(device, node);
    }
    return { ...numbers, m, taken };
  }

  return {
    read(topic, payload) {
      const { type, device, segment, attached = '' } = topic;
      // The broker sends it as it was made at CONNECT: its time and number tell nothing, and who is forgotten without need is only asked again.
      if (type === 'NDEATH') return void forget(device);
      const read = numbersOf(payload);
      if (typeof read === 'string') return read;
      const numbers = read;
      if (type === 'NBIRTH') return born({ segment, seq: 0, attached: new Map() }, topic, payload, numbers);
      const node = known(topic, numbers.seq);
      if (node === undefined) return 'HR-GW-803';
      if (type === 'DBIRTH') return born(node, topic, payload, numbers);
      const isNewest = numbers.seq > node.seq;
      if (type === 'DDEATH') {
        if (!isNewest) return undefined;
        total -= weighed(node.attached.get(attached));
        node.attached.delete(attached);
        node.seq = numbers.seq;
        return undefined;
      }
      const names = node.attached.get(attached);
      const m = names === undefined ? undefined : valuesOf(names, payload.metrics);
      if (m === undefined) return 'HR-GW-803';
      function taken(): void {
        if (node !== undefined) node.seq = Math.max(node.seq, numbers.seq);
      }
      return { ...numbers, m, taken };
    },
    forget,
  };
}

/** A birth without a name takes room too. */
const weighed = (names: Names | undefined): number => (names === undefined ? 0 : names.byName.size + 1);
const weightOf = (node: Node | undefined): number => [...(node?.attached.values() ?? [])].reduce((sum, names) => sum + weighed(names), 0);
const namesIn = (node: Node): number => [...node.attached.values()].reduce((sum, { byName }) => sum + byName.size, 0);

/** Undefined where two are called the same, or one longer than a field may be. */
function namesOf(metrics: readonly Metric[]): Names | undefined {
  const names: Names = { byAlias: new Map(), byName: new Map() };
  const fields = new Set<string>();
  for (const { name, alias, datatype } of metrics) {
    if (name === undefined || datatype === undefined || isOwn(name)) continue;
    const field = name.replaceAll('/', '.');
    if (field.length > LONGEST_FIELD || fields.has(field) || (alias !== undefined && names.byAlias.has(alias))) return undefined;
    fields.add(field);
    names.byName.set(name, { field, datatype });
    if (alias !== undefined) names.byAlias.set(alias, { field, datatype });
  }
  return names;
}

/** Historical values have another time than the message and are passed over, as what is no number is. Undefined: one that no birth has named. */
function valuesOf(names: Names, metrics: readonly Metric[]): Record<string, number> | undefined {
  const values: [string, number][] = [];
  for (const metric of metrics) {
    if (metric.name !== undefined && isOwn(metric.name)) continue;
    const named = metric.name === undefined ? names.byAlias.get(metric.alias ?? -1) : names.byName.get(metric.name);
    if (named === undefined) return undefined;
    const value = metric.isHistorical ? undefined : numberOf(metric.value, named.datatype);
    if (value !== undefined) values.push([named.field, value]);
  }
  // Whatever a field is called: this makes properties of the object's own only.
  return Object.fromEntries(values);
}

/** Of the protocol, not of what is measured (§6.4.6, §5.4). */
const isOwn = (name: string): boolean => name === 'bdSeq' || name.startsWith('Node Control/') || name.startsWith('Device Control/');
