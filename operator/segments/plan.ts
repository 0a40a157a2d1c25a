// From the NetworkPolicies that a segment should have and those that are there to the steps between them, in an order in which nothing is ever open that
// should not be: denies first, then what goes away, then what is allowed, and last the denies that nobody needs any more. Pure.
import type { LabelSelector } from '../api/segment-policy.ts';
import { type ActualPolicy, isAsDesired } from './actual-policy.ts';
import { denyPolicy, LABEL_ROLE, type NetworkPolicy } from './networkpolicy.ts';

export type Step =
  /** `edited`: it is there and its content is not what we applied. */
  | { do: 'apply'; policy: NetworkPolicy; why: 'missing' | 'changed' | 'edited' }
  | { do: 'delete'; name: string; namespace: string; uid: string };

export type PlanInput = {
  segment: { name: string; namespace: string };
  /** Empty when the SegmentPolicy is gone, or was never accepted. */
  desired: readonly NetworkPolicy[];
  /** All of ours that carry the label of this segment or a name in `desired`. */
  actual: readonly ActualPolicy[];
  podsMatch: (selector: LabelSelector) => boolean;
  /** Whether the deny for the whole namespace is there. */
  siteDenied: boolean;
};

export type Plan = {
  steps: Step[] /** Denies that stay though nobody asks for them, because their pods are still there. */;
  kept: string[];
};

export function planNetworkPolicies(input: PlanInput): Plan {
  const { desired, actual } = input;
  const wanted = new Set(desired.map((policy) => policy.metadata.name));
  const stale = actual.filter((policy) => policy.ours?.segment === input.segment.name && !wanted.has(policy.name));
  const staleDenies = stale.filter((policy) => policy.ours?.role === 'deny');
  const kept = staleDenies.filter((policy) => !input.siteDenied && input.podsMatch(policy.podSelector));
  const keptDenies = kept.map((policy) =>
    withName(denyPolicy(input.segment.namespace, input.segment.name, policy.podSelector), policy.name),
  );
  const steps = [
    ...applies([...keptDenies, ...desired.filter(isDeny)], actual),
    ...stale.filter((policy) => policy.ours?.role !== 'deny').map(deletion),
    ...applies(
      desired.filter((policy) => !isDeny(policy)),
      actual,
    ),
    ...staleDenies.filter((policy) => !kept.includes(policy)).map(deletion),
  ];
  return { steps, kept: kept.map((policy) => policy.name) };
}

function applies(policies: readonly NetworkPolicy[], actual: readonly ActualPolicy[]): Step[] {
  return policies.flatMap((policy): Step[] => {
    const found = actual.find((one) => one.name === policy.metadata.name);
    if (isAsDesired(policy, found)) return [];
    if (found === undefined) return [{ do: 'apply', policy, why: 'missing' }];
    // The hash is what we last wanted: if it is today's, then somebody else changed the content.
    const edited = Object.entries(policy.metadata.annotations ?? {}).every(([key, value]) => found.ours?.annotations[key] === value);
    return [{ do: 'apply', policy, why: edited || found.ours === undefined ? 'edited' : 'changed' }];
  });
}

const isDeny = (policy: NetworkPolicy): boolean => policy.metadata.labels?.[LABEL_ROLE] === 'deny';
const deletion = ({ name, namespace, uid }: ActualPolicy): Step => ({ do: 'delete', name, namespace, uid });
const withName = (policy: NetworkPolicy, name: string): NetworkPolicy => ({ ...policy, metadata: { ...policy.metadata, name } });
