import fc from 'fast-check';
import { expect, it } from 'vitest';
import { gatewayProblems } from './gateway-text.ts';

const part = fc.oneof(
  fc.jsonValue(),
  fc.dictionary(fc.constantFrom('schemas', 'replay', 'window', 'detect', 'trends', 'expires'), fc.jsonValue()),
);
const NAMES = ['payload', 'telemetry', 'localRules', 'retention', 'rawEgress', 'egress'];

it('says of any JSON what is wrong with it, the same every time, and never throws', () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...NAMES), part, { maxKeys: 3 }), (spec) => {
      const problems = gatewayProblems(spec, 'sensors.berlin');
      if (problems.length > 0) refused++;
      expect(gatewayProblems(structuredClone(spec), 'sensors.berlin')).toEqual(problems);
    }),
  );
  expect(refused).toBeGreaterThan(20);
});

it('leaves what it reads as it was: defaults are nobody else’s', () => {
  const spec = { localRules: [{ name: 'hot', stream: 's', field: '', above: 1, command: { name: 'fan' } }], payload: {} };
  expect(gatewayProblems(spec, 'sensors.berlin')).toEqual([]);
  expect(spec).toEqual({ localRules: [{ name: 'hot', stream: 's', field: '', above: 1, command: { name: 'fan' } }], payload: {} });
});
