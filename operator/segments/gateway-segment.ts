// From the text of a SegmentPolicy to what the gateway of its site does for the segment, with every default filled in and names as on the wire. Pure.
import { durationMs } from '../api/duration.ts';
import { egressAt, GATEWAY_TRIGGERS, type GatewaySegment } from '../api/gateway-config.ts';
import { gatewayProblems, rulesOf } from '../api/gateway-text.ts';
import { segmentName } from '../api/names.ts';
import type { SegmentPolicySpec } from '../api/segment-policy.ts';
import type { PolicyText } from './accept.ts';
import type { Finding } from './errors.ts';
import { canonicalJson } from './selector.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DEFAULT_MAX_BYTES = 65_536;
const MOST_BYTES = 1_048_576;

/** Fields of a policy that only a gateway keeps. */
const GATEWAY_FIELDS = ['payload', 'telemetry', 'localRules', 'rawEgress', 'retention'] as const;

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
  const codes = { schema: 'HR-SEG-006', rule: 'HR-SEG-007', other: 'HR-SEG-008' } as const;
  return gatewayProblems(spec, segmentName(name, namespace)).map(({ what, path, problem }) => ({
    code: codes[what],
    path,
    found: problem,
  }));
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
    ...(payload?.format === 'SparkplugB' ? { format: payload.format } : {}),
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

const msOf = (text: string | undefined, presetMs: number): number => (text === undefined ? presetMs : (durationMs(text) ?? presetMs));

function bytesOf(text: string | undefined): number {
  const [, digits, unit] = /^([0-9]{1,6})(KiB|MiB)?$/.exec(text ?? '') ?? [];
  if (digits === undefined) return DEFAULT_MAX_BYTES;
  const bytes = Number(digits) * (unit === 'MiB' ? 1_048_576 : unit === 'KiB' ? 1024 : 1);
  return Math.min(MOST_BYTES, Math.max(1, bytes));
}
