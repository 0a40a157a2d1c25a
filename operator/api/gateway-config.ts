// What the gateway of a site does, as the operator compiles it from the SegmentPolicies in force: `gateway.json` of the ConfigMap `hedgerow-gateway` in the
// namespace of the site. The gateway reads the mounted file. A field that it does not know is refused and not passed over: it could be one that narrows what
// may leave.
import { Ajv } from 'ajv';
import { type Static, Type } from 'typebox';
import { localRule } from './local-rule.ts';
import { MAX_LABEL, MAX_WIRE_NAME } from './names.ts';

export const GATEWAY_CONFIG_MAP = 'hedgerow-gateway';
export const GATEWAY_CONFIG_KEY = 'gateway.json';
/** An API server takes a ConfigMap of 1 MiB; the rest is for its metadata. */
export const MAX_GATEWAY_CONFIG_BYTES = 1_048_576 - 16_384;
/** The upper bound of spec.telemetry.window, and so long a gateway waits at most before it says anything of a group. */
export const MAX_WINDOW_MS = 86_400_000;

const LABEL = '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$';
const EGRESS = ['None', 'Alerts', 'Aggregates', 'Raw'] as const;
const ON_VIOLATION = ['Drop', 'Alert', 'Quarantine'] as const;
/** Of spec.quarantine.triggers: those that only a gateway sees. */
export const GATEWAY_TRIGGERS = ['ReplayDetected', 'SchemaFlood'] as const;

const closed = { additionalProperties: false };
const oneOf = <const V extends readonly string[]>(values: V) => Type.Unsafe<V[number]>({ type: 'string', enum: [...values] });
const name = Type.String({ minLength: 3, maxLength: MAX_WIRE_NAME });
const positive = (maximum: number) => Type.Integer({ minimum: 1, maximum });
const retentionMs = positive(315_360_000_000);

/** What the detectors of one value of one stream are told beyond what they find out themselves (docs/reference/edge-detectors.md). */
const detect = Type.Object(
  {
    stream: Type.String({ minLength: 1, maxLength: 128 }),
    field: Type.String({ maxLength: 128 }),
    peers: Type.Optional(Type.Boolean()),
    range: Type.Optional(Type.Object({ min: Type.Optional(Type.Number()), max: Type.Optional(Type.Number()) }, closed)),
    maxPerSecond: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
    stuckAfter: Type.Optional(Type.Integer({ minimum: 2, maximum: 1_000_000 })),
    pattern: Type.Optional(Type.Boolean()),
    timeOfDay: Type.Optional(Type.Boolean()),
    repeat: Type.Optional(Type.Boolean()),
    falseAlertsPerWeek: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1000 })),
  },
  closed,
);

const segment = Type.Object(
  {
    /** <segment>.<site>, as in topics: dt/{segment}/{device}/<stream>. */
    name,
    egress: oneOf(EGRESS),
    /** With Raw: past it Aggregates (RFC 3339). */
    rawUntil: Type.Optional(Type.String({ maxLength: 40 })),
    /** Whether names of devices stay at the site. */
    pseudonyms: Type.Boolean(),
    /** `topic`: {segment} filled in, + for {device}. A message has to fit every schema whose filter its topic fits. */
    schemas: Type.Array(
      Type.Object({ topic: Type.String({ minLength: 1, maxLength: 512 }), schema: Type.Record(Type.String(), Type.Unknown()) }, closed),
      { maxItems: 16 },
    ),
    /** What its devices send; not there: messages in the envelope, under dt/. */
    format: Type.Optional(oneOf(['SparkplugB'])),
    onViolation: oneOf(ON_VIOLATION),
    maxBytes: positive(1_048_576),
    replay: Type.Object({ window: positive(4096), maxSkewMs: positive(MAX_WINDOW_MS) }, closed),
    triggers: Type.Array(oneOf(GATEWAY_TRIGGERS), { maxItems: GATEWAY_TRIGGERS.length, uniqueItems: true }),
    windowMs: Type.Integer({ minimum: 1000, maximum: MAX_WINDOW_MS }),
    /** Label of the Device whose value names the group; without it the segment is one group. */
    groupBy: Type.Optional(Type.String({ minLength: 1, maxLength: 317 })),
    /** Fewer devices than this in a window of a group, and nothing of it leaves. */
    minGroup: positive(10_000),
    /** What is not listed gets the detectors that are always on. */
    detect: Type.Array(detect, { maxItems: 64 }),
    rules: Type.Array(localRule, { maxItems: 32 }),
    retentionMs: Type.Object({ trend: retentionMs, alert: retentionMs, security: retentionMs }, closed),
  },
  closed,
);

const config = Type.Object(
  {
    version: Type.Unsafe<1>({ type: 'integer', enum: [1] }),
    /** The namespace. */
    site: Type.String({ pattern: LABEL, maxLength: MAX_LABEL + 1 }),
    segments: Type.Array(segment, { maxItems: 512 }),
  },
  closed,
);

export type GatewayConfig = Static<typeof config>;
export type GatewaySegment = Static<typeof segment>;
export type Egress = GatewaySegment['egress'];
export type Detect = Static<typeof detect>;

const isConfig = new Ajv({ strict: false, allErrors: false }).compile<GatewayConfig>(config);

/** Text of `gateway.json`. What is wrong names the place, never what stands there: a schema may hold anything. */
export function readGatewayConfig(text: string): GatewayConfig | { code: 'HR-API-036'; message: string } {
  const value = parsed(text);
  if (value === undefined) return refused(`it is no JSON of at most ${MAX_GATEWAY_CONFIG_BYTES} bytes`);
  if (!isConfig(value)) {
    const [first] = isConfig.errors ?? [];
    return refused(`${first?.instancePath || 'the whole'} ${first?.message ?? 'does not fit'}`);
  }
  const problem = value.segments.map((one, at) => segmentProblem(one, value.site, at)).find((found) => found !== undefined);
  if (problem !== undefined) return refused(problem);
  if (new Set(value.segments.map((one) => one.name)).size < value.segments.length) return refused('two segments have one name');
  return value;
}

/** What may leave of the segment at this time. */
export function egressAt({ egress, rawUntil }: Pick<GatewaySegment, 'egress' | 'rawUntil'>, nowMs: number): Egress {
  return egress === 'Raw' && !(nowMs < Date.parse(rawUntil ?? '')) ? 'Aggregates' : egress;
}

function segmentProblem(
  { name: of, egress, rawUntil, rules, detect: detected }: GatewaySegment,
  site: string,
  at: number,
): string | undefined {
  const place = `/segments/${at}`;
  if (!of.endsWith(`.${site}`) || of.length === site.length + 1) return `${place}/name is no segment of this site`;
  if ((egress === 'Raw') !== (rawUntil !== undefined)) return `${place} has Raw without an end, or an end without Raw`;
  if (rawUntil !== undefined && Number.isNaN(Date.parse(rawUntil))) return `${place}/rawUntil is no time`;
  if (new Set(rules.map((rule) => rule.name)).size < rules.length) return `${place}/rules has two of one name`;
  const values = detected.map((one) => JSON.stringify([one.stream, one.field]));
  return new Set(values).size < values.length ? `${place}/detect has one value twice` : undefined;
}

function parsed(text: string): unknown {
  if (Buffer.byteLength(text) > MAX_GATEWAY_CONFIG_BYTES) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const refused = (why: string) => ({ code: 'HR-API-036', message: `${GATEWAY_CONFIG_KEY} is not taken: ${why}` }) as const;
