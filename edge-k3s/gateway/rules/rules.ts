// The rules that the gateway keeps by itself. What a receiver should be told follows from the state, not from the moment: what could not go out is made up for while
// it is still true. Pure: numbers, nonces and times of commands come from the events, so that the same events make the same commands, and a device does each once.
import { createHash } from 'node:crypto';
import { nextSeq } from '../../../operator/api/command.ts';
import type { LocalRule } from '../../../operator/api/local-rule.ts';
import type { Station } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';
import { due, isSameHour, type Source, stepSource, type Target, told } from './rule.ts';

/** One command to one device, not signed yet. */
export type Order = {
  rule: string;
  segment: string;
  device: string;
  name: string;
  args: Readonly<Record<string, unknown>>;
  seq: number;
  nonce: string;
  iat: number;
  exp: number;
};

type Kept = {
  id: string;
  rule: LocalRule;
  /** Devices whose value is beyond the limit. */
  sources: Map<string, Source>;
  /** Devices that were told something. */
  targets: Map<string, Target & { segment: string }>;
};
type Line =
  | readonly ['seq', seq: number]
  | readonly ['source', id: string, segment: string, device: string, Source]
  | readonly ['target', id: string, device: string, Target & { segment: string }]
  | readonly ['open', Order];

/** Where commands go. */
export type Orders = {
  order(one: Order): void;
  /** Those that have not ended yet. */
  open(): Iterable<Order>;
  forget(device: string): void;
};

const VERSION = 'rules 1';

export type RulesOptions = {
  /** Of its stream: older messages say nothing about now. */
  isNewest(event: Accepted): boolean;
  orders: Orders;
  /** The rule holds for the device that sent this, and did not before. */
  holds(rule: string, event: Accepted): void;
};

export function createRules({ isNewest, orders, holds }: RulesOptions): Station {
  let rules = new Map<string, Kept>();
  /** By segment, then stream. */
  let watching = new Map<string, Map<string, Kept[]>>();
  /** Segments of the devices that are a source of any rule. */
  const seats = new Map<string, string>();
  let seq = 0;

  function say({ rule }: Kept, what: 'command' | 'whenOver', segment: string, device: string, nowMs: number): void {
    const command = rule[what];
    if (command === undefined) return;
    seq = nextSeq(nowMs, seq);
    const one = { rule: rule.name, segment, device, ...command, seq, iat: nowMs, exp: nowMs + rule.validMs };
    // A gateway that has lost its disk may give this number to another command: it is not the same one then.
    orders.order({ ...one, nonce: createHash('sha256').update(JSON.stringify(one)).digest('hex').slice(0, 32) });
  }

  /** Brings one receiver up to what is true. */
  function tell(kept: Kept, segment: string, device: string, nowMs: number): void {
    const { rule, sources, targets } = kept;
    const target = targets.get(device);
    const wanted = rule.to === undefined ? sources.get(device)?.holds === true : [...sources.values()].some(({ holds }) => holds);
    const what = due(rule, target, wanted, nowMs);
    if (what !== undefined) {
      targets.set(device, { ...told(target, wanted, nowMs), segment });
      say(kept, what, segment, device, nowMs);
    } else if (!wanted && target?.told === true && rule.whenOver === undefined) targets.set(device, { ...target, told: false });
    else if (!wanted && target?.told === false && !isSameHour(target, nowMs)) targets.delete(device);
  }

  function step(kept: Kept, event: Accepted, value: number): void {
    const { rule, sources } = kept;
    const before = sources.get(event.device);
    const after = stepSource(rule, before, event.atMs, value);
    if (after === undefined) sources.delete(event.device);
    else {
      sources.set(event.device, after);
      seats.set(event.device, event.segment);
    }
    // Calm before and after, as nearly always: nobody has to be told anything.
    if (before?.holds !== true && after?.holds !== true) return;
    if (before?.holds !== true) holds(rule.name, event);
    const { segment, device } = rule.to ?? event;
    tell(kept, segment, device, event.heardMs);
  }

  /** What it measured in another segment holds no more. */
  function leave(device: string): void {
    seats.delete(device);
    for (const { sources } of rules.values()) sources.delete(device);
  }

  function put(line: Line): void {
    if (line[0] === 'seq') seq = line[1];
    else if (line[0] === 'open') orders.order(line[1]);
    else if (line[0] === 'target') rules.get(line[1])?.targets.set(line[2], line[3]);
    else {
      rules.get(line[1])?.sources.set(line[3], line[4]);
      seats.set(line[3], line[2]);
    }
  }

  return {
    name: 'rules',
    configure({ segments }) {
      const next = new Map<string, Kept>();
      const streams = new Map<string, Map<string, Kept[]>>();
      for (const segment of segments)
        for (const rule of segment.rules) {
          const id = `${segment.name}/${rule.name}`;
          const old = rules.get(id);
          // Of a rule that tells somebody else now, nobody was told anything.
          const isSame = JSON.stringify(old?.rule.to) === JSON.stringify(rule.to);
          const kept = old !== undefined && isSame ? { ...old, rule } : { id, rule, sources: new Map(), targets: new Map() };
          next.set(id, kept);
          const ofSegment = streams.get(segment.name) ?? new Map<string, Kept[]>();
          streams.set(segment.name, ofSegment.set(rule.stream, [...(ofSegment.get(rule.stream) ?? []), kept]));
        }
      rules = next;
      watching = streams;
    },
    message(event) {
      if (seats.size > 0 && (seats.get(event.device) ?? event.segment) !== event.segment) leave(event.device);
      const found = watching.get(event.segment)?.get(event.stream);
      if (found === undefined || event.backfill || !isNewest(event)) return;
      for (const kept of found) {
        const reading = event.readings.find(([field]) => field === kept.rule.field);
        if (reading !== undefined) step(kept, event, reading[1]);
      }
    },
    tick({ nowMs }) {
      for (const kept of rules.values()) for (const [device, { segment }] of [...kept.targets]) tell(kept, segment, device, nowMs);
    },
    *snapshot() {
      yield VERSION;
      yield JSON.stringify(['seq', seq] satisfies Line);
      for (const { id, sources, targets } of rules.values()) {
        for (const [device, source] of sources)
          yield JSON.stringify(['source', id, seats.get(device) ?? '', device, source] satisfies Line);
        for (const [device, target] of targets) yield JSON.stringify(['target', id, device, target] satisfies Line);
      }
      for (const one of orders.open()) yield JSON.stringify(['open', one] satisfies Line);
    },
    restore(lines) {
      for (const { sources, targets } of rules.values()) {
        sources.clear();
        targets.clear();
      }
      seats.clear();
      seq = 0;
      let isOurs = false;
      for (const text of lines) {
        if (!isOurs && text !== VERSION) return;
        if (isOurs) put(JSON.parse(text) as Line);
        isOurs = true;
      }
    },
    forget(device) {
      leave(device);
      orders.forget(device);
      for (const { targets } of rules.values()) targets.delete(device);
    },
  };
}
