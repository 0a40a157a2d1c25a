// What of a SegmentPolicy says which devices may become Devices by themselves.
import type { Enrollment, SegmentPolicy } from '../api/segment-policy.ts';
import { keyOf } from '../kube/object.ts';
import type { Projected } from '../kube/store.ts';
import { matchesPattern } from './serial-list.ts';

export type ListRef = { name: string; key: string };

export type EnrollmentPolicy = Projected & {
  name: string;
  namespace: string;
  /** The Secret with the manufacturer's CA certificates. */
  secretRef: ListRef | undefined;
  /** Their fingerprints, lower hex, that may let devices in just in time. */
  pinned: readonly string[];
  /** undefined: devices of this segment need a manifest. */
  justInTime: { lists: readonly ListRef[]; patterns: readonly string[]; maximum: number; approval: 'Auto' | 'Manual' } | undefined;
};

export function enrollmentPolicy(policy: SegmentPolicy): EnrollmentPolicy {
  const { name = '', namespace = '', uid = '', resourceVersion = '' } = policy.metadata;
  const { enrollment } = inForce(policy);
  return {
    key: keyOf(policy),
    uid,
    resourceVersion,
    name,
    namespace,
    secretRef: enrollment?.manufacturerCA?.secretRef,
    pinned: (enrollment?.manufacturerCA?.sha256 ?? []).map((text) => text.replaceAll(':', '').toLowerCase()),
    justInTime: justInTime(enrollment),
  };
}

/** Nothing of a text that is only audited is applied: nobody enrols by it. What was enforced last holds. */
function inForce({ spec, status }: SegmentPolicy): Pick<SegmentPolicy['spec'], 'enrollment'> {
  return spec.mode === 'Audit' ? ((status?.accepted?.spec ?? {}) as SegmentPolicy['spec']) : spec;
}

function justInTime(enrollment: Enrollment | undefined): EnrollmentPolicy['justInTime'] {
  if (enrollment?.serials === undefined) return undefined;
  const { configMapRefs = [], patterns = [] } = enrollment.serials;
  return { lists: configMapRefs, patterns, maximum: enrollment.maximum ?? 0, approval: enrollment.approval ?? 'Manual' };
}

export function matchesAnyPattern(policy: EnrollmentPolicy, serial: string): boolean {
  return policy.justInTime?.patterns.some((pattern) => matchesPattern(pattern, serial)) ?? false;
}
