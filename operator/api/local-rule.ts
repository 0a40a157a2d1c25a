// A rule that a gateway keeps by itself, with the uplink cut too: while a measured value is beyond a limit for so long, a command goes to a device.
// As a person writes it in spec.localRules of a SegmentPolicy, and as the gateway reads it.
import { type Static, Type } from 'typebox';
import { durationMs } from './duration.ts';
import { label } from './fields.ts';
import { count, duration, list, object, rule, text } from './schema.ts';

const limit = (description: string) => Type.Number({ description });

/** One level of a topic that is no other level: `cmd/{segment}/{device}/<name>`. */
export const COMMAND_NAME = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$';
/** As JSON. */
export const MOST_ARGS_BYTES = 1024;
const COMMAND_NAME_CURE = 'the name of a command is one level of a topic: a-z, 0-9 and -, beginning and ending with a letter or digit';

const command = object('What a device is told.', {
  name: text('Name of the command: the last level of cmd/{segment}/{device}/<name>.', {
    max: 63,
    min: 1,
    pattern: COMMAND_NAME,
    code: 'HR-API-015',
    cure: COMMAND_NAME_CURE,
  }),
  args: Type.Optional(
    Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      description: 'What goes with it, as the device knows it; at most 1 KiB as JSON. Default: nothing.',
      'x-kubernetes-preserve-unknown-fields': true,
    }),
  ),
});

const to = object('Who is told, where it is not the device that measured.', {
  segment: Type.Optional(
    label(
      'Segment of this namespace that the device is in. Default: the segment of this policy. Another one has to accept the gateway in its spec.acceptFrom.',
    ),
  ),
  device: label('Name of the Device.'),
});

const localRuleSpec = object(
  'One rule.',
  {
    name: label('Name of the rule.'),
    stream: text('Stream that is watched: what follows the device in dt/{segment}/{device}/<stream>.', { max: 128, min: 1 }),
    field: text(
      "Field of its message, with dots where objects are in one another; empty for a message that is a bare number. Default: ''.",
      {
        max: 128,
        default: '',
      },
    ),
    above: Type.Optional(limit('The rule holds while the value is larger.')),
    below: Type.Optional(limit('The rule holds while the value is smaller.')),
    back: Type.Optional(
      limit('It is over when the value is here again; with above not larger than it, with below not smaller. Default: the limit itself.'),
    ),
    for: duration('How long the value has to be beyond the limit, by the times of the messages. Default: 0s.', {
      default: '0s',
      code: 'HR-API-007',
    }),
    to: Type.Optional(to),
    command,
    whenOver: Type.Optional(command),
    validFor: duration('A command that the device has not got by then is not done. Default: 60s, at most 1h.', {
      default: '60s',
      code: 'HR-API-007',
    }),
    again: Type.Optional(
      duration('While the rule holds, its command is sent again so often, at least 1s; without it once.', { code: 'HR-API-007' }),
    ),
    atMost: count(
      'Commands of this rule to one device in an hour, those when it is over included; what is more waits, and is sent if it is still true then.',
      {
        min: 1,
        max: 3600,
        default: 60,
      },
    ),
  },
  {
    rules: [
      rule(
        'HR-API-035',
        'has(self.above) != has(self.below)',
        'a rule of spec.localRules has above or below, one of both: a range is two rules',
      ),
      rule(
        'HR-API-035',
        '!has(self.back) || ((!has(self.above) || self.back <= self.above) && (!has(self.below) || self.back >= self.below))',
        'back of a rule in spec.localRules lies on the good side of its limit: at most above, at least below',
        '.back',
      ),
    ],
  },
);

/** spec.localRules */
export const localRules = list(
  'What the gateway of the site does by itself, with the uplink cut too: while a value of a device is beyond a limit for so long, a command goes to a device. Default: none.',
  localRuleSpec,
  { max: 32, keys: ['name'] },
);

const compiledCommand = Type.Object(
  { name: Type.String({ pattern: COMMAND_NAME }), args: Type.Record(Type.String(), Type.Unknown()) },
  { additionalProperties: false },
);

/** As it stands in the configuration of a gateway. */
export const localRule = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 63 }),
    stream: Type.String({ minLength: 1, maxLength: 128 }),
    field: Type.String({ maxLength: 128 }),
    when: Type.Unsafe<'above' | 'below'>({ type: 'string', enum: ['above', 'below'] }),
    limit: Type.Number(),
    back: Type.Number(),
    forMs: Type.Integer({ minimum: 0 }),
    /** Without it: the device that measured. Names as in topics: <segment>.<site>, <device>.<site>. */
    to: Type.Optional(
      Type.Object(
        { segment: Type.String({ minLength: 3, maxLength: 64 }), device: Type.String({ minLength: 3, maxLength: 64 }) },
        { additionalProperties: false },
      ),
    ),
    command: compiledCommand,
    whenOver: Type.Optional(compiledCommand),
    validMs: Type.Integer({ minimum: 1000, maximum: 3_600_000 }),
    /** While it holds, the command goes out again so often. */
    againMs: Type.Optional(Type.Integer({ minimum: 1000 })),
    /** To one device in an hour. */
    atMost: Type.Integer({ minimum: 1, maximum: 3600 }),
  },
  { additionalProperties: false },
);

export type LocalRule = Static<typeof localRule>;
export type LocalRuleSpec = Static<typeof localRuleSpec>;

/** `segment`: <segment>.<site> of the policy. What only the sum of its fields can say is wrong comes back as `problem`, with the cure. */
export function localRuleOf(spec: LocalRuleSpec, segment: string): LocalRule | { problem: string } {
  const site = segment.slice(segment.indexOf('.') + 1);
  const limit = spec.above ?? spec.below;
  if (limit === undefined) return { problem: `rule ${spec.name} has no limit: give it above or below` };
  const validMs = durationMs(spec.validFor) ?? 0;
  if (validMs < 1000 || validMs > 3_600_000) return { problem: `validFor of rule ${spec.name} is ${spec.validFor}: write 1s to 1h` };
  const againMs = spec.again === undefined ? undefined : (durationMs(spec.again) ?? 0);
  if (againMs !== undefined && againMs < 1000) return { problem: `again of rule ${spec.name} is ${spec.again}: write at least 1s` };
  const tooLong = [spec.command, spec.whenOver].find((one) => Buffer.byteLength(JSON.stringify(one?.args ?? {})) > MOST_ARGS_BYTES);
  if (tooLong !== undefined) return { problem: `args of command ${tooLong.name} of rule ${spec.name} are more than 1 KiB: shorten them` };
  return {
    name: spec.name,
    stream: spec.stream,
    field: spec.field,
    when: spec.above === undefined ? 'below' : 'above',
    limit,
    back: spec.back ?? limit,
    forMs: durationMs(spec.for) ?? 0,
    ...(spec.to === undefined
      ? {}
      : {
          to: { segment: spec.to.segment === undefined ? segment : `${spec.to.segment}.${site}`, device: `${spec.to.device}.${site}` },
        }),
    command: { name: spec.command.name, args: spec.command.args ?? {} },
    ...(spec.whenOver === undefined ? {} : { whenOver: { name: spec.whenOver.name, args: spec.whenOver.args ?? {} } }),
    validMs,
    ...(againMs === undefined ? {} : { againMs }),
    atMost: spec.atMost,
  };
}
