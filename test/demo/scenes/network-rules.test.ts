import { expect, it } from 'vitest';
import { allowing, isShut, type NetworkPolicy } from './network-rules.ts';

const both = ['Ingress', 'Egress'];
const policy = (spec: Partial<NetworkPolicy['spec']>): NetworkPolicy => ({
  metadata: {},
  spec: { podSelector: {}, policyTypes: both, ...spec },
});

it('a policy without rules allows nothing', () => expect(allowing([policy({}), policy({ ingress: [], egress: [] })])).toEqual([]));

it('the same rule for other pods is another rule', () => {
  const rule = { ports: [{ port: 443 }] };
  const [a, b] = [policy({ podSelector: { matchLabels: { app: 'a' } }, egress: [rule] }), policy({ egress: [rule] })];
  expect(new Set(allowing([a, b])).size).toBe(2);
});

it('the order of policies does not matter', () => {
  const [a, b] = [policy({ ingress: [{ from: 'a' }] }), policy({ egress: [{ to: 'b' }] })];
  expect(allowing([a, b])).toEqual(allowing([b, a]));
});

it.each([
  ['one that selects every pod in both directions', [policy({})], true],
  ['one direction only', [policy({ policyTypes: ['Ingress'] })], false],
  ['some pods only', [policy({ podSelector: { matchLabels: { app: 'a' } } })], false],
  ['none at all', [], false],
])('a namespace is shut by %s: %#', (_name, policies, shut) => expect(isShut(policies)).toBe(shut));
