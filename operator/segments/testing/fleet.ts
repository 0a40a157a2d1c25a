// Small random fleets for property tests, and by definition (not by the model) who may reach whom in them.
import fc from 'fast-check';
import type { SegmentPolicySpec } from '../../api/segment-policy.ts';
import type { PolicyFacts } from '../model.ts';
import { isSelected, type Pod } from './evaluate.ts';

export const NOW = Date.parse('2026-11-24T12:00:00Z');
export const NAMESPACES = ['berlin', 'paris'];
const NAMES = ['sensors', 'gateways', 'doors'];
const PORTS = [80, 443];
const LABELS = ['a', 'b', 'c'];

export const policyOf = (name: string, namespace: string, spec: Partial<SegmentPolicySpec>): PolicyFacts => ({
  key: `${namespace}/${name}`,
  name,
  namespace,
  generation: 1,
  spec: { trust: 2, intraSegment: 'Isolated', egress: 'Aggregates', mode: 'Enforce', ...spec },
});

const ports = fc
  .uniqueArray(fc.constantFrom(...PORTS), { minLength: 1, maxLength: 2 })
  .map((list) => list.map((port) => ({ protocol: 'TCP' as const, port })));
const peer = fc.record({ namespace: fc.constantFrom(...NAMESPACES), segment: fc.constantFrom(...NAMES) });
const selector = fc.oneof(
  fc.constantFrom(...LABELS).map((app) => ({ matchLabels: { app } })),
  fc
    .uniqueArray(fc.constantFrom(...LABELS), { minLength: 1, maxLength: 2 })
    .map((values) => ({ matchExpressions: [{ key: 'app', operator: 'In' as const, values }] })),
);

const spec = fc.record({
  trust: fc.constantFrom(0, 2, 2, 3, 3, 4),
  intraSegment: fc.constantFrom<'Isolated' | 'Allow'>('Isolated', 'Allow'),
  workloads: fc.array(
    selector.map((podSelector) => ({ podSelector })),
    { maxLength: 2 },
  ),
  conduits: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('c1', 'c2', 'c3'),
      to: peer,
      ports,
      expires: fc.constantFrom('2026-11-24T11:59:59Z', '2026-11-24T12:00:00Z', '2027-01-01T00:00:00Z', '2027-01-01T00:00:00Z'),
      justification: fc.constantFrom('', 'because'),
    }),
    { maxLength: 3, selector: (conduit) => conduit.name },
  ),
  acceptFrom: fc.array(fc.record({ namespace: fc.constantFrom(...NAMESPACES), segment: fc.constantFrom(...NAMES), ports }), {
    maxLength: 4,
  }),
});

/** Up to six policies in two namespaces. */
export const fleet: fc.Arbitrary<PolicyFacts[]> = fc
  .uniqueArray(fc.record({ namespace: fc.constantFrom(...NAMESPACES), name: fc.constantFrom(...NAMES), spec }), {
    maxLength: 6,
    selector: (one) => `${one.namespace}/${one.name}`,
  })
  .map((list) => list.map((one) => policyOf(one.name, one.namespace, one.spec)));

/** One pod for every label in every namespace, and one without. */
export const PODS: Pod[] = NAMESPACES.flatMap((namespace) => [
  ...LABELS.map((app) => ({ name: `${namespace}-${app}`, namespace, labels: { app } })),
  { name: `${namespace}-none`, namespace, labels: {} },
]);

export const CONNECTIONS = PODS.flatMap((from) => PODS.flatMap((to) => PORTS.map((port) => ({ from, to, protocol: 'TCP', port }))));

/** The definition: a flow exists only when both sides grant it. `maxTrust` is 3. */
export function mayReach(policies: readonly PolicyFacts[], connection: (typeof CONNECTIONS)[number]): boolean {
  const { from, to, port } = connection;
  const homesOf = (pod: Pod): PolicyFacts[] => policies.filter((policy) => policy.namespace === pod.namespace && has(policy, pod));
  const [homes, targets] = [homesOf(from), homesOf(to)];
  // Outside all segments nothing is regulated; who is inside is never reached from outside and reaches nothing outside.
  if (homes.length === 0 && targets.length === 0) return true;
  return homes.some((a) => targets.some((b) => isGranted(policies, a, b, port)));
}

const has = (policy: PolicyFacts, pod: Pod): boolean =>
  (policy.spec.workloads ?? []).some(({ podSelector }) => isSelected(podSelector, pod.labels));
const isAccepted = (policy: PolicyFacts): boolean => (policy.spec.trust ?? 2) <= 3;
const isAlone = (policies: readonly PolicyFacts[], policy: PolicyFacts): boolean =>
  !PODS.some(
    (pod) =>
      pod.namespace === policy.namespace &&
      has(policy, pod) &&
      policies.some((other) => other !== policy && other.namespace === pod.namespace && isAccepted(other) && has(other, pod)),
  );

/** Whether members of `a` may open connections to members of `b`. */
export function isGranted(policies: readonly PolicyFacts[], a: PolicyFacts, b: PolicyFacts, port: number): boolean {
  if (![a, b].every((policy) => isAccepted(policy) && isAlone(policies, policy))) return false;
  const [low, high] = [a.spec.trust ?? 2, b.spec.trust ?? 2];
  if (high === 0) return false;
  if (a === b && a.spec.intraSegment === 'Allow') return true;
  const asks = (a.spec.conduits ?? []).some(
    (conduit) =>
      (conduit.to.namespace ?? a.namespace) === b.namespace &&
      conduit.to.segment === b.name &&
      conduit.ports.some((one) => one.port === port) &&
      Date.parse(conduit.expires ?? '9999-01-01T00:00:00Z') > NOW &&
      (high <= low || high === 3 || conduit.justification === 'because'),
  );
  const accepts = (b.spec.acceptFrom ?? []).some(
    (entry) =>
      (entry.namespace ?? b.namespace) === a.namespace && entry.segment === a.name && (entry.ports ?? []).some((one) => one.port === port),
  );
  return asks && accepts;
}
