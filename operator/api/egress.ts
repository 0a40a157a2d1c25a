// All that may leave a site, as schemas that allow nothing else: the gateway sends only what fits, and whoever receives it checks it again.
// What fits has no reading as a device sent it, no sentence, and the name of a device only where the policy says so; Raw alone is different,
// and only while a policy of the segment says Raw. docs/reference/edge-egress.md.
import { Ajv, type ValidateFunction } from 'ajv';
import { type Static, Type } from 'typebox';
import type { Egress } from './gateway-config.ts';
import { LABEL_PATTERN, MAX_LABEL, MAX_WIRE_NAME } from './names.ts';

/** Of windows whose segment has no groups: no label value begins with it. */
export const NO_GROUP = '_';
/** In the place of a name that only few devices use: it could be the text of one. */
export const OTHER_METRIC = 'other';

/** Those of the detectors (docs/reference/detectors.md); a value that no schema fits; a rule of the site that acted; many alerts as one. */
export const ALERT_KINDS = [
  ...['unusable', 'range', 'rate', 'stuck', 'gap', 'cadence', 'level', 'step', 'time-of-day', 'pattern', 'repeat', 'peers'],
  ...['schema', 'rule', 'storm'],
] as const;
const SECURITY_KINDS = [
  ...['ReplayDetected', 'SchemaFlood', 'MessageFlood', 'SizeExceeded', 'SchemaViolated', 'IdentityMismatch', 'Reconnecting'],
] as const;
const LOSS_REASONS = ['bound', 'damage', 'expired', 'unknown'] as const;
/** Bins of a trend for each sign: those of the gateway's sketch are fewer. */
const MAX_BINS = 4096;
const MOST_MS = 8.64e15;

const closed = { additionalProperties: false };
const oneOf = <const V extends readonly string[]>(values: V) => Type.Unsafe<V[number]>({ type: 'string', enum: [...values] });
const literal = <const V extends string | number>(value: V) => Type.Unsafe<V>({ const: value });
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const number = Type.Number({ minimum: -1.1e15, maximum: 1.1e15 });
const time = Type.Integer({ minimum: -MOST_MS, maximum: MOST_MS });
const label = Type.String({ pattern: LABEL_PATTERN, maxLength: MAX_LABEL });
/** A pseudonym, or `<device>.<site>` where the policy has no pseudonyms. */
const device = Type.String({ pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$', maxLength: MAX_WIRE_NAME });
/** The value of a label, or NO_GROUP. */
const group = Type.String({ pattern: '^(_|[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)$' });
/** `<stream>` or `<stream>:<field>`, with ~ for / in a stream. */
const metric = Type.String({ pattern: '^[A-Za-z0-9._~@=-]{1,128}(:[A-Za-z0-9._@=-]{1,128})?$' });
const rule = Type.String({ pattern: LABEL_PATTERN, maxLength: MAX_LABEL });

/** `key`: names it for good; who gets two with one key and one rev has the same twice, and the higher rev takes the place of the lower. Times: of what it is about. */
const common = {
  v: literal(1),
  site: label,
  key: Type.String({ pattern: '^[A-Za-z0-9._:@~=/-]{1,512}$' }),
  rev: Type.Integer({ minimum: 0, maximum: 0xffff_ffff }),
  fromMs: time,
  toMs: time,
};
/** Key and count in turn, keys rising: sizes in (g^(key-1), g^key], g = 1.01/0.99. */
const bins = Type.Array(Type.Integer({ minimum: -MAX_BINS, maximum: Number.MAX_SAFE_INTEGER }), { maxItems: 2 * MAX_BINS });

const SCHEMAS = {
  /** Of a window of a group. Two with different keys have no reading in common. min, max, p50 and p95 are those of the bins: off by 1 % at the most. */
  Trend: Type.Object(
    {
      ...{ ...common, type: literal('Trend'), segment: label, group, metric },
      /** Different ones; of windows that became a wider one in the spool, of the one that had the fewest. */
      devices: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
      /** Of readings. */
      count: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      ...{ mean: number, deviation: Type.Number({ minimum: 0, maximum: 1.1e15 }), min: number, max: number, p50: number, p95: number },
      zeros: count,
      positive: bins,
      negative: bins,
    },
    closed,
  ),
  Alert: Type.Object(
    {
      ...{ ...common, type: literal('Alert'), segment: label, kind: oneOf(ALERT_KINDS) },
      /** Not of a storm. */
      device: Type.Optional(device),
      metric: Type.Optional(metric),
      /** -log10 of how rare; not where a rule decides. */
      score: Type.Optional(Type.Number({ minimum: 0, maximum: 1000 })),
      rule: Type.Optional(rule),
      count,
      /** Of a storm: how many of each kind were not sent one by one. */
      kinds: Type.Optional(Type.Object(Object.fromEntries(ALERT_KINDS.map((kind) => [kind, Type.Optional(count)])), closed)),
    },
    closed,
  ),
  Security: Type.Object(
    {
      ...{ ...common, type: literal('Security'), segment: label, kind: oneOf(SECURITY_KINDS) },
      device: Type.Optional(device),
      count,
      /** Of what was refused (docs/reference/errors.md). */
      code: Type.Optional(Type.String({ pattern: '^HR-GW-[0-9]{3}$' })),
    },
    closed,
  ),
  Health: Type.Object(
    {
      ...{ ...common, type: literal('Health') },
      devices: count,
      /** Of the devices, those that were heard between the times; not of fewer than five devices: it would say who is there. */
      heard: Type.Optional(count),
      messages: count,
      refused: count,
      /** Windows of groups that were too small to leave. */
      suppressed: count,
      spoolBytes: count,
      spoolMaxBytes: count,
      /** Full days until the certificate of the uplink ends; less than 0 after it. */
      certificateDays: Type.Optional(Type.Integer({ minimum: -100_000, maximum: 100_000 })),
    },
    closed,
  ),
  DataLoss: Type.Object(
    {
      ...{ ...common, type: literal('DataLoss'), class: oneOf(['trend', 'alert', 'security']), reason: oneOf(LOSS_REASONS) },
      /** Records that are missing; with reason damage at the most. */
      count: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    },
    closed,
  ),
  /** The device is no Device any more: the site has nothing of it, and what others have under this name goes too. */
  Erased: Type.Object({ ...common, type: literal('Erased'), device, records: count }, closed),
  Raw: Type.Object(
    {
      ...{ ...common, type: literal('Raw'), segment: label, device },
      /** With its slashes. */
      stream: Type.String({ pattern: '^[A-Za-z0-9._:@~=-]+(/[A-Za-z0-9._:@~=-]+)*$', maxLength: 256 }),
      boot: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      seq: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
      m: Type.Unknown(),
    },
    closed,
  ),
} as const;

type Schemas = typeof SCHEMAS;
export type EgressType = keyof Schemas;
export type EgressMessage = { [T in EgressType]: Static<Schemas[T]> }[EgressType];
export type MessageOf<T extends EgressType> = Static<Schemas[T]>;

const ajv = new Ajv({ strict: false, allErrors: false });
const VALIDATORS = Object.fromEntries(Object.entries(SCHEMAS).map(([type, schema]) => [type, ajv.compile(schema)])) as Record<
  EgressType,
  ValidateFunction
>;

/** What goes at which level of spec.egress. */
export const LEAVES_AT: Readonly<Record<Egress, readonly EgressType[]>> = {
  None: [],
  Alerts: ['Alert', 'Security'],
  Aggregates: ['Alert', 'Security', 'Trend'],
  Raw: ['Alert', 'Security', 'Trend', 'Raw'],
};
/** What is of the site and of no segment. */
export const LEAVES_ALWAYS: readonly EgressType[] = ['Health', 'DataLoss', 'Erased'];

/** Undefined when it may leave; else what is wrong, without a word of what stands there. */
export function egressProblem(value: unknown): string | undefined {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  if (typeof type !== 'string' || !Object.hasOwn(VALIDATORS, type)) return 'it is of no type that may leave a site';
  const validate = VALIDATORS[type as EgressType];
  if (validate(value)) return problemBeyondSchema(value as EgressMessage);
  const [first] = validate.errors ?? [];
  return `${first?.instancePath || 'the whole'} ${first?.message ?? 'does not fit'}`;
}

export const isEgress = (value: unknown): value is EgressMessage => egressProblem(value) === undefined;

/** Where it is published. The broker lets a gateway publish below its own site only, so the second level is whose it is. */
export function topicOf(message: EgressMessage): string {
  const { site } = message;
  switch (message.type) {
    case 'Trend':
      return `agg/${site}/${message.segment}/${message.group}/${message.metric}`;
    case 'Health':
      return `agg/${site}/site/health`;
    case 'Alert':
      return `alert/${site}/${message.segment}/${message.kind}`;
    case 'Security':
      return `alert/${site}/site/security`;
    case 'DataLoss':
      return `alert/${site}/site/loss`;
    case 'Erased':
      return `alert/${site}/site/erased`;
    case 'Raw':
      return `raw/${site}/${message.segment}/${message.device}/${message.stream}`;
  }
}

function problemBeyondSchema(message: EgressMessage): string | undefined {
  if (message.toMs < message.fromMs) return '/toMs is before /fromMs';
  if (message.type !== 'Trend') return undefined;
  if (message.devices > message.count) return '/devices are more than readings';
  const sides = [sumOf(message.positive), sumOf(message.negative)];
  const sum = sides.reduce((all, one) => all + one, message.zeros);
  return sum === message.count ? undefined : '/count is not that of the bins';
}

/** NaN when they are no bins. */
function sumOf(flat: readonly number[]): number {
  let sum = flat.length % 2 === 0 ? 0 : Number.NaN;
  for (let at = 0; at < flat.length; at += 2) {
    const [key = 0, many = 0, before = Number.NEGATIVE_INFINITY] = [flat[at], flat[at + 1], flat[at - 2]];
    sum += key > before && key <= MAX_BINS && many > 0 ? many : Number.NaN;
  }
  return sum;
}
