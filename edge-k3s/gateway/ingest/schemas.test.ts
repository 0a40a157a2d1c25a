import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { schemaProblem, stepsOf } from '../../../operator/api/schema-bounds.ts';
import { compileSchemas } from './schemas.ts';

const TOPIC = 'dt/office.berlin/thermo-1.berlin/climate';
const FILTER = 'dt/office.berlin/+/climate';
const climate = {
  type: 'object',
  properties: { celsius: { type: 'number', minimum: -40, maximum: 85 }, unit: { type: 'string', pattern: '^[a-z]{1,8}$' } },
  required: ['celsius'],
  additionalProperties: false,
};

describe('schemas of a segment', () => {
  it.each([
    ['what fits', { celsius: 21.5, unit: 'c' }, true],
    ['a value out of its range', { celsius: 90 }, false],
    ['a field too many', { celsius: 21, note: 'x' }, false],
    ['a text that does not match', { celsius: 21, unit: 'C' }, false],
    ['what is no object', 7, false],
    ['nothing', undefined, false],
  ])('say of %s', (_, m, expected) => {
    expect(compileSchemas([{ topic: FILTER, schema: climate }]).of(TOPIC)?.(m)).toBe(expected);
  });

  it('all count whose filter fits the topic, and none is none', () => {
    const schemas = compileSchemas([
      { topic: FILTER, schema: climate },
      { topic: 'dt/office.berlin/#', schema: { type: 'object', required: ['unit'] } },
    ]);
    expect(schemas.of(TOPIC)?.({ celsius: 21 })).toBe(false);
    expect(schemas.of(TOPIC)?.({ celsius: 21, unit: 'c' })).toBe(true);
    expect(schemas.of('dt/lab.berlin/x.berlin/climate')).toBeUndefined();
  });

  it('two patterns in one schema are two', () => {
    const schema = { properties: { a: { pattern: '^a$' }, b: { pattern: '^b$' } } };
    const validate = compileSchemas([{ topic: FILTER, schema }]).of(TOPIC);
    expect([validate?.({ a: 'a', b: 'b' }), validate?.({ a: 'a', b: 'a' })]).toEqual([true, false]);
  });

  it('a message is worth so many steps of all patterns together: short texts are tried, many long ones do not fit', () => {
    const schema = { items: { allOf: Array.from({ length: 20 }, (_, at) => ({ not: { pattern: `a*a*b${at}` } })) } };
    const validate = compileSchemas([{ topic: FILTER, schema }]).of(TOPIC);
    expect(validate?.(Array.from({ length: 64 }, () => 'a'.repeat(20)))).toBe(true);
    expect(validate?.(Array.from({ length: 64 }, () => 'a'.repeat(256)))).toBe(false);
    expect(validate?.(['aaa'])).toBe(true);
  });

  it('a schema that says nonsense is refused with the topic, and without its content', () => {
    expect(() => compileSchemas([{ topic: FILTER, schema: { type: 'hunter2' } }])).toThrow(/^HR-GW-312 [\s\S]*climate(?![\s\S]*hunter2)/);
  });
});

const doubling = Object.fromEntries(
  Array.from({ length: 10 }, (_, at) => [`d${at}`, { allOf: [{ $ref: `#/$defs/d${at + 1}` }, { $ref: `#/$defs/d${at + 1}` }] }]),
);

describe('what a schema may cost', () => {
  it.each([
    ['an ordinary one', climate, undefined],
    [
      'properties that are called as keywords are',
      { properties: { pattern: {}, $ref: {}, $id: { type: 'string' }, uniqueItems: {} } },
      undefined,
    ],
    [
      'a definition that is used twice',
      { $defs: { t: { type: 'number' } }, properties: { a: { $ref: '#/$defs/t' }, b: { $ref: '#/$defs/t' } } },
      undefined,
    ],
    ['a pattern that goes back again and again', { pattern: '^(a+)+$' }, /too long/],
    ['the same in the name of a property', { patternProperties: { '^(a|a)*$': {} } }, /too long/],
    ['one in a definition of a definition', { $defs: { a: { items: { pattern: '(.*)(.*)(.*)x' } } } }, /too long/],
    ['definitions that double ten times', { $defs: { ...doubling, d10: {} }, $ref: '#/$defs/d0' }, /places/],
    ['a $ref to itself', { $defs: { a: { items: { $ref: '#/$defs/a' } } }, $ref: '#/$defs/a' }, /itself/],
    ['a $ref to the whole', { items: { $ref: '#' } }, /out of the schema/],
    ['a $ref to the network', { $ref: 'https://example.org/schema' }, /out of the schema/],
    ['a $ref to nothing', { $ref: '#/$defs/none' }, /nothing/],
    ['an identifier within', { properties: { a: { $id: 'x', items: { $ref: '#/items' } } } }, /only at the top/],
    ['a $dynamicRef', { $dynamicRef: '#node' }, /no bound/],
    ['uniqueItems without an end', { uniqueItems: true }, /maxItems/],
    ['uniqueItems with one', { uniqueItems: true, maxItems: 10 }, undefined],
    ['a list of two thousand values', { enum: Array.from({ length: 2_001 }, (_, at) => at) }, /places/],
    ['a hundred levels', JSON.parse(`${'{"items":'.repeat(100)}{}${'}'.repeat(100)}`), /deep/],
  ])('%s', (_, schema, problem) => {
    if (problem === undefined) expect(schemaProblem(schema)).toBeUndefined();
    else expect(schemaProblem(schema)).toMatch(problem);
  });

  it.each(['^(a+)+$', '^(a|aa)+$', '([a-z]*)*', '^(([a-z])+.)+[A-Z]([a-z])+$', '(?=a+)b', '^(.)\\1$', '.*.*.*x', '(?:a?){30}a{30}'])(
    '%s is more than a message is worth',
    (pattern) => expect(stepsOf(pattern)).toBeGreaterThan(20_000_000),
  );

  it.each(['^[0-9a-f]{64}$', '^[A-Z][a-z]+ [0-9]+$', '^(ok|failed|unknown)$', '^\\d{4}-\\d{2}-\\d{2}T', '^\\(\\[x*\\]\\)$', 'abc'])(
    '%s is not',
    (pattern) => expect(stepsOf(pattern)).toBeLessThan(20_000_000),
  );

  it('anything gives an answer', () => {
    fc.assert(fc.property(fc.jsonValue(), (schema) => ['string', 'undefined'].includes(typeof schemaProblem(schema))));
    fc.assert(fc.property(fc.string(), (pattern) => stepsOf(pattern) >= 1));
  });
});
