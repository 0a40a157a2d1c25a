// What a SegmentPolicy says of its telemetry to the gateway of the site: how payloads look, what is watched in them, what is made of them, and what may leave.
import { type Static, Type } from 'typebox';
import type { ApiCode } from './errors.ts';
import { choice, count, duration, flag, list, malformed, object, rule, text, time } from './schema.ts';
import { MAX_TOPIC_LENGTH } from './topic.ts';

const between = (path: string, least: string, most: string, cure: string) =>
  rule(
    TELEMETRY,
    `${malformed('self')} || (duration(self) >= duration('${least}') && duration(self) <= duration('${most}'))`,
    `${path} ${cure}`,
  );
const TELEMETRY: ApiCode = 'HR-API-037';

/** spec.payload */
export const payload = object('What the payloads of its telemetry must look like; checked by the gateway of the site.', {
  schemas: Type.Optional(
    list(
      'Schemas by topic; a message has to fit each one whose filter its topic fits. Default: none.',
      object('One schema.', {
        topic: text('MQTT topic filter it is for, for example dt/{segment}/{device}/climate.', { max: MAX_TOPIC_LENGTH, min: 1 }),
        schema: Type.Unsafe<Record<string, unknown>>({
          type: 'object',
          description:
            'JSON Schema (draft 2020-12) of what a message says, m of its envelope; at most 32 KiB, with $ref only into its own parts (#/$defs/…) and patterns that end in a bounded number of steps.',
          'x-kubernetes-preserve-unknown-fields': true,
        }),
      }),
      { max: 16, keys: ['topic'] },
    ),
  ),
  format: Type.Optional(
    choice(
      ['Envelope', 'SparkplugB'],
      'What its devices send. Envelope: JSON or CBOR under dt/{segment}/{device}/. SparkplugB: Sparkplug B 3.0 under spBv1.0/{segment}/<type>/{device}, and nothing under dt/. Default: Envelope.',
    ),
  ),
  onViolation: choice(
    ['Drop', 'Alert', 'Quarantine'],
    'What happens to a device whose message does not fit; the message itself is dropped in any case. Default: Drop.',
    { default: 'Drop' },
  ),
  replay: Type.Optional(
    object('Protection against messages sent again.', {
      window: count('How many sequence numbers back are accepted out of order. Default: 64.', { min: 1, max: 4096, default: 64 }),
      maxSkew: duration("How far a message's clock may be off, 1s to 24h. Default: 120s.", {
        default: '120s',
        code: 'HR-API-007',
        rules: [between('spec.payload.replay.maxSkew', '1s', '24h', 'is 1s to 24h')],
      }),
    }),
  ),
});

const detect = object(
  'One value of one stream.',
  {
    stream: text('Stream: what follows the device in dt/{segment}/{device}/<stream>.', { max: 128, min: 1 }),
    field: text('Field of its message, with dots where objects are in one another; empty for a message that is a bare number.', {
      max: 128,
    }),
    min: Type.Optional(Type.Number({ description: 'A lower value is an alert. Default: none.' })),
    max: Type.Optional(Type.Number({ description: 'A higher value is an alert. Default: none.' })),
    maxPerSecond: Type.Optional(
      Type.Number({ description: 'The fastest change that is possible, in units of the value a second. Default: none.' }),
    ),
    stuckAfter: Type.Optional(
      count("Equal readings in a row that are too many. Default: what the value's own history says.", { min: 2, max: 1_000_000 }),
    ),
    pattern: flag('Whether shapes of several readings are compared with those before. Costs most. Default: false.', { default: false }),
    timeOfDay: flag('Whether a reading is compared with those of the same hour. Default: false.', { default: false }),
    repeat: flag('Whether a stretch of readings that was there before is an alert. Default: false.', { default: false }),
    peers: flag('Whether the devices of a group are compared with each other. Default: false.', { default: false }),
  },
  {
    rules: [
      rule(
        TELEMETRY,
        '!has(self.min) || !has(self.max) || self.min <= self.max',
        'min of spec.telemetry.detect is above max: a value is never in such a range',
        '.max',
      ),
      rule(TELEMETRY, '!has(self.maxPerSecond) || self.maxPerSecond > 0.0', 'maxPerSecond is more than 0', '.maxPerSecond'),
    ],
  },
);

/** spec.telemetry */
export const telemetry = object(
  'What the gateway of the site makes of its telemetry. Default: one group, a trend a minute of at least five devices.',
  {
    window: duration('How long one trend is, 1s to 24h. Default: 60s.', {
      default: '60s',
      code: 'HR-API-007',
      rules: [between('spec.telemetry.window', '1s', '24h', 'is 1s to 24h')],
    }),
    groupBy: Type.Optional(
      text(
        'Label of the Devices whose value says which group a device is in, for example hedgerow.dev/zone. Default: the segment is one group.',
        {
          max: 317,
          min: 1,
        },
      ),
    ),
    minGroup: count('Of a group with fewer devices in a window nothing leaves. 1: each device may be told from the others. Default: 5.', {
      min: 1,
      max: 10_000,
      default: 5,
    }),
    pseudonyms: flag(
      'Whether alerts name a device by a pseudonym that means nothing outside the site and is gone when the Device is deleted. Default: true.',
      { default: true },
    ),
    detect: Type.Optional(
      list('What is known of single values beyond what the detectors find out. Default: the detectors that are always on.', detect, {
        max: 64,
        keys: ['stream', 'field'],
      }),
    ),
  },
);

const kept = (what: string, preset: string) =>
  duration(`How long ${what} wait at the site for the uplink, 1m to 87600h. Default: ${preset}.`, {
    default: preset,
    code: 'HR-API-007',
    rules: [between('spec.retention', '1m', '87600h', 'is 1m to 87600h')],
  });

/** spec.retention */
export const retention = object('How long what may leave is kept at the site while it cannot; then it is deleted, and the loss is said.', {
  trends: kept('trends', '720h'),
  alerts: kept('alerts', '2160h'),
  security: kept('security events and losses', '8760h'),
});

/** spec.egress */
export const egress = choice(
  ['None', 'Alerts', 'Aggregates', 'Raw'],
  'What may leave the site by its gateway: None, Alerts, Aggregates (and alerts), or Raw. Default: Aggregates.',
  { default: 'Aggregates' },
);

/** spec.rawEgress */
export const rawEgress = object('Why and how long raw data may leave the site; goes with egress: Raw.', {
  justification: text('Why raw data has to leave the site; it is audited.', { max: 512, min: 1 }),
  expires: time('When it ends (RFC 3339); from then on it is Aggregates.'),
});

export type Payload = Static<typeof payload>;
export type Telemetry = Static<typeof telemetry>;
export type Retention = Static<typeof retention>;
