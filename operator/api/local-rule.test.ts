import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { type LocalRuleSpec, localRule, localRuleOf, localRules } from './local-rule.ts';

const ajv = new Ajv2020({ strict: false, logger: false });
const isWritten = ajv.compile(localRules);
const isRead = ajv.compile(localRule);

const SEGMENT = 'office-sensors.berlin';
const spec = (fields: Partial<LocalRuleSpec>): LocalRuleSpec => ({
  name: 'too-hot',
  stream: 'climate',
  field: 'celsius',
  above: 30,
  for: '30s',
  command: { name: 'fan', args: { on: true } },
  validFor: '60s',
  atMost: 60,
  ...fields,
});
const { above: _, ...without } = spec({});

it('a rule as it is written becomes one as the gateway reads it: names as on the wire, times in ms, every default filled in', () => {
  expect(localRuleOf(spec({}), SEGMENT)).toEqual({
    name: 'too-hot',
    stream: 'climate',
    field: 'celsius',
    when: 'above',
    limit: 30,
    back: 30,
    forMs: 30_000,
    command: { name: 'fan', args: { on: true } },
    validMs: 60_000,
    atMost: 60,
  });
  expect(
    localRuleOf({ ...without, below: 5, back: 8, again: '5m', to: { device: 'heater-1' }, whenOver: { name: 'heat' } }, SEGMENT),
  ).toMatchObject({
    when: 'below',
    limit: 5,
    back: 8,
    againMs: 300_000,
    to: { segment: SEGMENT, device: 'heater-1.berlin' },
    whenOver: { name: 'heat', args: {} },
  });
  expect(localRuleOf(spec({ to: { segment: 'fans', device: 'fan-1' } }), SEGMENT)).toMatchObject({
    to: { segment: 'fans.berlin', device: 'fan-1.berlin' },
  });
});

it.each<[string, LocalRuleSpec, RegExp]>([
  ['no limit', without, /above or below/],
  ['a command that is valid for longer than an hour', spec({ validFor: '1h1s' }), /1s to 1h/],
  ['a command that is valid for no time', spec({ validFor: '0s' }), /1s to 1h/],
  ['a command again at once', spec({ again: '0s' }), /at least 1s/],
  ['more than 1 KiB of args', spec({ whenOver: { name: 'fan', args: { text: 'x'.repeat(1024) } } }), /1 KiB/],
])('%s is refused with the cure', (_name, rule, cure) => {
  expect(localRuleOf(rule, SEGMENT)).toEqual({ problem: expect.stringMatching(cure) });
});

it('the schema of what a person writes and that of what the gateway reads fit what goes through here, and nothing wider', () => {
  const written = spec({ to: { device: 'fan-1' }, whenOver: { name: 'fan', args: { on: false } } });
  expect(isWritten([written])).toBe(true);
  expect(isWritten([spec({ command: { name: 'a/b' } })])).toBe(false);
  expect(isRead(localRuleOf(written, SEGMENT))).toBe(true);
  expect(isRead({ ...localRuleOf(written, SEGMENT), more: 1 })).toBe(false);
});
