// From the text of a SegmentPolicy to what the gateway of its site does for the segment, with every default filled in and names as on the wire. Pure.
import { durationMs } from '../api/duration.ts';
import { egressAt, GATEWAY_TRIGGERS, type GatewaySegment, MAX_WINDOW_MS } from '../api/gateway-config.ts';
import { type LocalRuleSpec, localRuleOf, localRules } from '../api/local-rule.ts';
import { segmentName } from '../api/names.ts';
import { payloadSchemaProblem } from '../api/payload-schema.ts';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import { topicProblem } from '../api/topic.ts';
import { schemaProblems } from '../api/validate.ts';
import type { PolicyText } from './accept.ts';
import type { Finding } from './errors.ts';
import { canonicalJson } from './selector.ts';

type Payload = NonNullable<SegmentPolicySpec['payload']>;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DEFAULT_MAX_BYTES = 65_536;
const MOST_BYTES = 1_048_576;
const TEN_YEARS_MS = 87_600 * HOUR_MS;

/** Fields of a policy that only a gateway keeps. */
export const GATEWAY_FIELDS = ['payload', 'telemetry', 'localRules', 'rawEgress', 'retention'] as const;

/** Those that this policy uses, as a person would name them. */
export function gatewayFieldsOf(spec: SegmentPolicySpec): string[] {
  const triggers = (spec.quarantine?.triggers ?? []).filter((trigger) => GATEWAY_TRIGGERS.some((one) => one === trigger));
  return [
    ...GATEWAY_FIELDS.filter((field) => spec[field] !== undefined).map((field) => `spec.${field}`),
    ...((spec.egress ?? 'Aggregates') === 'Aggregates' ? [] : ['spec.egress']),
    ...triggers.map((trigger) => `the trigger ${trigger}`),
  ];
}

/** Why a gateway could not keep this text. */
export function gatewayFindings({ name, namespace, spec }: PolicyText): Finding[] {
  return [...payloadFindings(spec.payload), ...ruleFindings(spec.localRules, segmentName(name, namespace)), ...timeFindings(spec)];
}

/** Of a text without findings. `nowMs`: raw data leave until their end and no longer. */
export function gatewaySegmentOf({ name, namespace, spec }: PolicyText, nowMs: number): GatewaySegment {
  const wireName = segmentName(name, namespace);
  const { payload, telemetry } = spec;
  const raw = spec.rawEgress?.expires;
  const egress = egressAt({ egress: spec.egress ?? 'Aggregates', ...(raw === undefined ? {} : { rawUntil: raw }) }, nowMs);
  return {
    name: wireName,
    egress,
    ...(egress === 'Raw' && raw !== undefined ? { rawUntil: new Date(Date.parse(raw)).toISOString() } : {}),
    pseudonyms: telemetry?.pseudonyms ?? true,
    schemas: (payload?.schemas ?? [])
      .map(({ topic, schema }) => ({ topic: topic.replaceAll('{segment}', wireName).replaceAll('{device}', '+'), schema }))
      .sort((a, b) => (a.topic < b.topic ? -1 : 1)),
    onViolation: payload?.onViolation ?? 'Drop',
    maxBytes: bytesOf(spec.limits?.maxPacket),
    replay: { window: payload?.replay?.window ?? 64, maxSkewMs: msOf(payload?.replay?.maxSkew, 2 * MINUTE_MS) },
    triggers: GATEWAY_TRIGGERS.filter((trigger) => spec.quarantine?.triggers?.includes(trigger)),
    windowMs: msOf(telemetry?.window, MINUTE_MS),
    ...(telemetry?.groupBy === undefined ? {} : { groupBy: telemetry.groupBy }),
    minGroup: telemetry?.minGroup ?? 5,
    detect: detectOf(telemetry),
    rules: rulesOf(spec.localRules, wireName).flatMap(({ rule }) => ('problem' in rule ? [] : [rule])),
    retentionMs: {
      trend: msOf(spec.retention?.trends, 720 * HOUR_MS),
      alert: msOf(spec.retention?.alerts, 2160 * HOUR_MS),
      security: msOf(spec.retention?.security, 8760 * HOUR_MS),
    },
  };
}

function detectOf(telemetry: SegmentPolicySpec['telemetry']): GatewaySegment['detect'] {
  const isSet = <T>(value: T | undefined | false): value is T => value !== undefined && value !== false;
  return (telemetry?.detect ?? [])
    .map(({ stream, field, min, max, ...options }) => {
      const range = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
      const set = Object.fromEntries(Object.entries(options).filter(([, value]) => isSet<unknown>(value)));
      return { stream, field, ...(min === undefined && max === undefined ? {} : { range }), ...set };
    })
    .sort((a, b) => (canonicalJson([a.stream, a.field]) < canonicalJson([b.stream, b.field]) ? -1 : 1));
}

/** A model is built with every change of any policy: what was looked at once is not looked at again while the object is the same. */
function once<K extends object, V>(look: (key: K) => V): (key: K) => V {
  const known = new WeakMap<K, V>();
  return (key) => {
    if (!known.has(key)) known.set(key, look(key));
    return known.get(key) as V;
  };
}

const payloadProblems = once((payload: Payload) =>
  (payload.schemas ?? []).flatMap(({ topic, schema }, i) => {
    const filter =
      topicProblem(topic, 'publish')?.message ?? (topic.startsWith('dt/{segment}/') ? undefined : 'telemetry is under dt/{segment}/');
    const problem = filter ?? payloadSchemaProblem(schema);
    const path = `spec.payload.schemas[${i}].${filter === undefined ? 'schema' : 'topic'}`;
    return problem === undefined ? [] : [{ path, problem }];
  }),
);

function payloadFindings(payload: Payload | undefined): Finding[] {
  if (payload === undefined) return [];
  return payloadProblems(payload).map(({ path, problem }): Finding => ({ code: 'HR-SEG-006', path, found: problem }));
}

/** The API server fills in no defaults in lists (operator/api/crd.ts). */
const withDefaults = once((rules: readonly LocalRuleSpec[]) => {
  const copy = structuredClone(rules);
  return { rules: copy, problems: schemaProblems(localRules, copy, 'spec.localRules') };
});

function rulesOf(rules: readonly LocalRuleSpec[] | undefined, segment: string) {
  if (rules === undefined) return [];
  const { rules: filled, problems } = withDefaults(rules);
  if (problems.length > 0) return problems.slice(0, 1).map((problem) => ({ rule: { problem }, i: 0 }));
  return filled.map((rule, i) => ({ rule: localRuleOf(rule, segment), i })).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

const nameOf = ({ rule }: { rule: object }): string => ('name' in rule ? String(rule.name) : '');

function ruleFindings(rules: readonly LocalRuleSpec[] | undefined, segment: string): Finding[] {
  return rulesOf(rules, segment).flatMap(({ rule, i }): Finding[] =>
    'problem' in rule ? [{ code: 'HR-SEG-007', path: `spec.localRules[${i}]`, found: rule.problem }] : [],
  );
}

/** CEL refuses most of it; what was stored before, or by somebody who went around it, is refused here. */
function timeFindings({ payload, telemetry, retention, egress, rawEgress }: SegmentPolicySpec): Finding[] {
  const times: [path: string, text: string | undefined, leastMs: number, mostMs: number][] = [
    ['spec.payload.replay.maxSkew', payload?.replay?.maxSkew, 1000, MAX_WINDOW_MS],
    ['spec.telemetry.window', telemetry?.window, 1000, MAX_WINDOW_MS],
    ['spec.retention.trends', retention?.trends, MINUTE_MS, TEN_YEARS_MS],
    ['spec.retention.alerts', retention?.alerts, MINUTE_MS, TEN_YEARS_MS],
    ['spec.retention.security', retention?.security, MINUTE_MS, TEN_YEARS_MS],
  ];
  const outside = times.flatMap(([path, text, leastMs, mostMs]): Finding[] => {
    const ms = text === undefined ? leastMs : (durationMs(text) ?? 0);
    return ms < leastMs || ms > mostMs ? [{ code: 'HR-SEG-008', path, found: `${JSON.stringify(text)} is out of its range` }] : [];
  });
  const endless = egress === 'Raw' && Number.isNaN(Date.parse(rawEgress?.expires ?? ''));
  return endless
    ? [...outside, { code: 'HR-SEG-008', path: 'spec.rawEgress.expires', found: 'raw data leave only until a time' }]
    : outside;
}

const msOf = (text: string | undefined, presetMs: number): number => (text === undefined ? presetMs : (durationMs(text) ?? presetMs));

function bytesOf(text: string | undefined): number {
  const [, digits, unit] = /^([0-9]{1,6})(KiB|MiB)?$/.exec(text ?? '') ?? [];
  if (digits === undefined) return DEFAULT_MAX_BYTES;
  const bytes = Number(digits) * (unit === 'MiB' ? 1_048_576 : unit === 'KiB' ? 1024 : 1);
  return Math.min(MOST_BYTES, Math.max(1, bytes));
}
