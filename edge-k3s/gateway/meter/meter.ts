// What each device does beyond what it says: how much it sends, and what of it was refused for what. Kept beside the journal, because what is refused is not in it:
// after a start it begins empty, accuses nobody of what came before, and finds who goes on within a minute. Pure.
import type { AskTrigger } from '../../../operator/api/gateway-asks.ts';
import type { GatewayConfig, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Output } from '../core/output.ts';
import type { GatewayCode } from '../errors.ts';

/** What became of a message. */
export type Counted = { kind: 'message' } | { kind: 'refused'; code: GatewayCode };

/** A device (`<device>.<site>`) that its segment's policy wants quarantined for this. */
export type Raised = { device: string; trigger: AskTrigger; count: number; overMs: number; atMs: number };

export type Meter = {
  /** `device`: of the topic, and no more than that where the code says that there is no such Device. */
  count(device: string, segment: string, what: Counted, nowMs: number): void;
  /** A session with the broker began: for a while it delivers again what was not acknowledged. */
  resumed(nowMs: number): void;
  /** What is to be said of the minute, once it is over; and who is to be quarantined, at once. */
  tick(nowMs: number): { outputs: Output[]; raised: Raised[] };
  configure(config: GatewayConfig): void;
  forget(device: string): void;
};

/** What is looked at together. */
export const WINDOW_MS = 60_000;
/** A device sends again what nobody acknowledged, and firmware that is wrong is wrong now and then: so many in a minute are borne. */
export const BORNE = 30;
/** On the average of a minute 100 messages a second: no sensor, and worth a look. */
export const FLOOD = 6_000;
/** Of a segment in a minute, as a person can read them; of the others it is said how many they are. */
export const MOST_ALERTS = 20;

type Kind = Extract<Output['body'], { type: 'Security' }>['kind'];
type Fault = 'replay' | 'schema' | 'size';
type Tally = {
  segment: string;
  messages: number;
  faults: Record<Fault, number>;
  last: Partial<Record<Fault, GatewayCode>>;
  raised: Set<AskTrigger>;
};

/** A recording that is played again: in its session, behind the window, or of an earlier start of the device. */
const FAULTS: Partial<Record<GatewayCode, Fault>> = {
  ...{ 'HR-GW-202': 'replay', 'HR-GW-203': 'replay', 'HR-GW-204': 'replay' },
  ...{ 'HR-GW-201': 'schema', 'HR-GW-306': 'schema', 'HR-GW-307': 'schema', 'HR-GW-308': 'schema' },
  ...{ 'HR-GW-801': 'schema', 'HR-GW-802': 'schema' },
  'HR-GW-305': 'size',
};
/** The name in the topic is anybody's: it is not kept. */
const NOBODY: readonly GatewayCode[] = ['HR-GW-302', 'HR-GW-303'];

/** `startedMs`: makes what this process says another than what the one before said. */
export function createMeter(startedMs: number): Meter {
  let devices = new Map<string, Tally>();
  /** Of each segment what came under a name that is none of its devices. */
  let strangers = new Map<string, number>();
  let segments = new Map<string, GatewaySegment>();
  let [sinceMs, graceMs, serial] = [startedMs, startedMs, 0];
  let raised: Raised[] = [];

  function tallyOf(device: string, segment: string): Tally {
    const known = devices.get(device);
    if (known?.segment === segment) return known;
    const made = { segment, messages: 0, faults: { replay: 0, schema: 0, size: 0 }, last: {}, raised: new Set<AskTrigger>() };
    devices.set(device, made);
    return made;
  }

  function refuse(device: string, tally: Tally, code: GatewayCode, nowMs: number): void {
    const fault = FAULTS[code];
    if (fault === undefined || (fault === 'replay' && Math.abs(nowMs - graceMs) < WINDOW_MS)) return;
    tally.faults[fault] += 1;
    tally.last[fault] = code;
    const trigger = triggerOf(segments.get(tally.segment), fault, tally.faults[fault]);
    if (trigger === undefined || tally.raised.has(trigger)) return;
    tally.raised.add(trigger);
    raised.push({ device, trigger, count: tally.faults[fault], overMs: Math.min(WINDOW_MS, Math.abs(nowMs - sinceMs)), atMs: nowMs });
  }

  function* said(nowMs: number): Generator<Output> {
    const span = { fromMs: Math.min(sinceMs, nowMs), toMs: Math.max(sinceMs, nowMs) };
    for (const [device, { segment, messages, faults, last }] of devices)
      for (const [kind, count, code] of findings(messages, faults, last))
        yield output({ device, segment, ...span }, { type: 'Security', kind, count, ...(code === undefined ? {} : { code }) });
    for (const [segment, count] of strangers)
      yield output({ device: '', segment, ...span }, { type: 'Security', kind: 'IdentityMismatch', count, code: 'HR-GW-303' });
    for (const [segment, of] of alarms()) {
      for (const [device, count] of of.slice(0, MOST_ALERTS))
        yield output({ device, segment, ...span }, { type: 'Alert', kind: 'schema', count });
      const rest = of.slice(MOST_ALERTS).length;
      if (rest > 0) yield output({ device: '', segment, ...span }, { type: 'Alert', kind: 'storm', count: rest, kinds: { schema: rest } });
    }
  }

  /** Devices with payloads that did not fit, of segments that want to be told. */
  function alarms(): Map<string, [device: string, count: number][]> {
    const found = new Map<string, [string, number][]>();
    for (const [device, { segment, faults }] of devices) {
      if (faults.schema === 0 || segments.get(segment)?.onViolation !== 'Alert') continue;
      const of = found.get(segment) ?? [];
      of.push([device, faults.schema]);
      found.set(segment, of);
    }
    return found;
  }

  function output(of: Pick<Output, 'device' | 'segment' | 'fromMs' | 'toMs'>, body: Said): Output {
    serial += 1;
    return { ...of, id: `${body.kind}/${startedMs.toString(36)}-${serial}`, subject: body.kind, rev: 0, body };
  }

  return {
    count(device, segment, what, nowMs) {
      if (what.kind === 'refused' && NOBODY.includes(what.code)) {
        if (segments.has(segment)) strangers.set(segment, (strangers.get(segment) ?? 0) + 1);
        return;
      }
      const tally = tallyOf(device, segment);
      tally.messages += 1;
      if (what.kind === 'refused') refuse(device, tally, what.code, nowMs);
    },
    resumed(nowMs) {
      graceMs = nowMs;
    },
    tick(nowMs) {
      const outputs = Math.abs(nowMs - sinceMs) < WINDOW_MS ? [] : [...said(nowMs)];
      const asked = raised;
      raised = [];
      if (Math.abs(nowMs - sinceMs) >= WINDOW_MS) {
        [devices, strangers, sinceMs] = [new Map(), new Map(), nowMs];
      }
      return { outputs, raised: asked };
    },
    configure(config) {
      segments = new Map(config.segments.map((segment) => [segment.name, segment]));
    },
    forget(device) {
      devices.delete(device);
      raised = raised.filter((one) => one.device !== device);
    },
  };
}

type Said = Extract<Output['body'], { type: 'Security' | 'Alert' }>;

function triggerOf(segment: GatewaySegment | undefined, fault: Fault, count: number): AskTrigger | undefined {
  if (segment === undefined) return undefined;
  if (fault === 'schema' && segment.onViolation === 'Quarantine') return 'SchemaViolated';
  if (count <= BORNE) return undefined;
  const trigger = ({ replay: 'ReplayDetected', schema: 'SchemaFlood', size: undefined } as const)[fault];
  return trigger !== undefined && segment.triggers.includes(trigger) ? trigger : undefined;
}

/** Replays that are borne are not worth a word; a payload that fits nothing is. */
function* findings(
  messages: number,
  faults: Tally['faults'],
  last: Tally['last'],
): Generator<readonly [Kind, number, GatewayCode | undefined]> {
  const { replay, schema, size } = faults;
  if (replay > BORNE) yield ['ReplayDetected', replay, last.replay];
  if (schema > 0) yield [schema > BORNE ? 'SchemaFlood' : 'SchemaViolated', schema, last.schema];
  if (size > 0) yield ['SizeExceeded', size, last.size];
  if (messages > FLOOD) yield ['MessageFlood', messages, undefined];
}
