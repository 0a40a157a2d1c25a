import fc from 'fast-check';
import { expect, it } from 'vitest';
import { payloadSchemaProblem } from './payload-schema.ts';

const nested = (levels: number): object => (levels === 0 ? {} : { not: nested(levels - 1) });

it.each<[string, object]>([
  ['nothing in particular', {}],
  ['a climate', { type: 'object', required: ['celsius'], properties: { celsius: { type: 'number', minimum: -40, maximum: 85 } } }],
  ['parts by name', { $defs: { percent: { minimum: 0, maximum: 100 } }, properties: { humidity: { $ref: '#/$defs/percent' } } }],
  ['its draft', { $schema: 'https://json-schema.org/draft/2020-12/schema' }],
  ['a field that is called $id', { properties: { $id: { type: 'string' }, $ref: { type: 'string' } } }],
])('a schema of %s is good', (_what, schema) => {
  expect(payloadSchemaProblem(schema)).toBeUndefined();
});

it.each<[string, unknown, RegExp]>([
  ['is none', { type: 'nummer' }, /no JSON Schema .*\/type/],
  ['is a list', [], /no JSON Schema/],
  ['is of an older draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, /another draft/],
  ['asks somebody else', { $ref: 'https://example.com/schema.json' }, /leads out of the schema/],
  ['asks for a part that it does not have', { $ref: '#/$defs/percent' }, /nothing in the schema/],
  ['asks for what all objects have', { $ref: '#/constructor' }, /nothing in the schema/],
  ['asks for itself', { properties: { next: { $ref: '#' } } }, /leads out of the schema/],
  ['names a part of itself', { $defs: { a: { $id: 'https://example.com/a' } } }, /only at the top/],
  ['has a pattern that is none', { pattern: '(' }, /no regular expression/],
  ['has a pattern that could take for ever', { pattern: '^(a+)+$' }, /could take too long/],
  ['refers to the way that was gone', { $dynamicRef: '#x', $defs: { x: { $dynamicAnchor: 'x' } } }, /\$dynamicRef is not taken/],
  ['is too large', { description: 'x'.repeat(32_768) }, /32768 are the most/],
  ['is too deep', nested(40), /32 deep/],
  ['is so deep that a stack would end', nested(5000), /32 deep/],
])('a schema that %s is refused', (_what, schema, problem) => {
  expect(payloadSchemaProblem(schema)).toMatch(problem);
});

it('says something of any JSON, and never throws', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('type', '$ref', 'properties', 'items', 'not', '$defs', 'pattern'), fc.jsonValue()),
      (schema) => {
        const problem = payloadSchemaProblem(schema);
        expect(problem === undefined || problem.length > 0).toBe(true);
      },
    ),
  );
});
