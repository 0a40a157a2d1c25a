import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bootConfig } from './config.ts';
import { compileExpression, VariformError } from './variform.ts';

const NOWHERE = { ca: '', cert: '', key: '', keys: '', sslBind: ':1', tcpBind: ':2', wsBind: ':3', wssBind: ':4' };

describe('an expression', () => {
  const cases: [string, Record<string, string>, string | undefined][] = [
    ["'text'", {}, 'text'],
    ['clientid', { clientid: 'x' }, 'x'],
    ['clientid', {}, undefined],
    ["nth(1, regex_extract(a, '^(x+)'))", { a: 'xxy' }, 'xx'],
    ["nth(1, regex_extract(a, '^(x+)'))", { a: 'y' }, undefined],
    ["coalesce(nth(1, regex_extract(a, '(x)')), 'none')", { a: 'y' }, 'none'],
    ["concat(a, '-', upper(a))", { a: 'x' }, 'x-X'],
    ["iif(regex_match(a, 'x'), 'yes', 'no')", { a: 'x' }, 'yes'],
    ["nth(2, tokens(a, '.'))", { a: 'b.c' }, 'c'],
  ];
  it.each(cases)('%s', (source, variables, expected) => expect(compileExpression(source)(variables)).toBe(expected));

  it.each(['nth(1,', 'nope(1)', '', 'a b', '(('])('%j is refused', (source) =>
    expect(() => compileExpression(source)).toThrow(VariformError),
  );

  it('is compiled or refused with a VariformError, and never throws when it runs', () => {
    const near = fc
      .array(fc.constantFrom('nth(', 'regex_extract(', 'coalesce(', "'", "'('", 'dn', '1', ',', ')', ' '), { maxLength: 12 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(near, fc.string()), fc.string(), (source, dn) => {
        try {
          compileExpression(source)({ dn });
        } catch (error) {
          expect(error).toBeInstanceOf(VariformError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("the profile's expressions", () => {
  const { mqtt } = bootConfig('hedgerow', NOWHERE).global_zone;
  const id = compileExpression(mqtt.clientid_override);
  const segment = compileExpression(mqtt.client_attrs_init[0]?.expression ?? '');
  const label = fc.stringMatching(/^[a-z0-9-]{1,62}$/);

  it('let in every subject of the required form, and no other', () => {
    fc.assert(
      fc.property(label, label, label, (device, group, namespace) => {
        const dn = `CN=${device}.${namespace},OU=${group}.${namespace},O=hedgerow`;
        expect([id({ dn }), segment({ dn })]).toEqual([`${device}.${namespace}`, `${group}.${namespace}`]);
        const elsewhere = `CN=${device}.${namespace},OU=${group}.${namespace}x,O=hedgerow`;
        expect([id({ dn: elsewhere }), segment({ dn: elsewhere })]).toEqual(['invalid-certificate', undefined]);
      }),
    );
  });

  it('give nothing to any other text', () => {
    fc.assert(
      fc.property(fc.string(), (dn) => {
        expect([id({ dn }), segment({ dn })]).toEqual(['invalid-certificate', undefined]);
      }),
    );
  });
});
