// What a set of NetworkPolicies allows, as text that can be compared. Pure.

type Rule = { from?: unknown; to?: unknown; ports?: unknown };
export type NetworkPolicy = {
  metadata: { name?: string };
  spec: { podSelector: object; policyTypes?: string[]; ingress?: Rule[]; egress?: Rule[] };
};

/** Every rule that lets something through, with the pods it is for; sorted. */
export function allowing(policies: readonly NetworkPolicy[]): string[] {
  return policies
    .flatMap(({ spec }) =>
      (['ingress', 'egress'] as const).flatMap((direction) =>
        (spec[direction] ?? []).map((rule) => JSON.stringify([direction, spec.podSelector, rule])),
      ),
    )
    .sort();
}

/** Does a policy select every pod of the namespace in both directions? Then nothing passes but what a rule allows. */
export function isShut(policies: readonly NetworkPolicy[]): boolean {
  return policies.some(
    ({ spec }) =>
      Object.keys(spec.podSelector).length === 0 &&
      ['Ingress', 'Egress'].every((direction) => spec.policyTypes?.includes(direction) === true),
  );
}
