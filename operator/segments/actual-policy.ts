// What the cache keeps of a NetworkPolicy: of ours what is needed to see a drift, of foreign ones what they open.
import { LABEL_MANAGED_BY, MANAGED_BY } from '../api/names.ts';
import type { LabelSelector } from '../api/segment-policy.ts';
import type { KubeObject } from '../kube/object.ts';
import { keyOf } from '../kube/object.ts';
import type { Projected } from '../kube/store.ts';
import { equalJson } from '../runtime/merge-patch.ts';
import {
  LABEL_SEGMENT,
  NAME_PREFIX,
  type NetworkPolicy,
  type PolicySpec,
  QUARANTINE_NAME,
  type Role,
  SITE_DENY_NAME,
} from './networkpolicy.ts';

export type LivePolicy = KubeObject & { spec?: PolicySpec };

export type ActualPolicy = Projected & {
  name: string;
  namespace: string;
  /** Missing for a foreign policy. */
  ours?: { segment?: string; role: Role | 'unknown'; labels: Record<string, string>; annotations: Record<string, string> };
  podSelector: LabelSelector;
  /** Of foreign policies only whether there are rules at all. */
  spec?: PolicySpec;
  opens: { ingress: boolean; egress: boolean };
};

export function actualPolicy(object: LivePolicy): ActualPolicy {
  const { metadata, spec = {} } = object;
  const labels = metadata.labels ?? {};
  const segment = labels[LABEL_SEGMENT];
  // Both labels and the name: somebody else's policy is not deleted because it borrowed one of them.
  const ours =
    labels[LABEL_MANAGED_BY] === MANAGED_BY &&
    (metadata.name ?? '').startsWith(NAME_PREFIX) &&
    (segment !== undefined || metadata.name === SITE_DENY_NAME || metadata.name === QUARANTINE_NAME);
  const types = spec.policyTypes ?? ['Ingress', ...((spec.egress ?? []).length > 0 ? ['Egress'] : [])];
  return {
    key: keyOf(object),
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    name: metadata.name ?? '',
    namespace: metadata.namespace ?? '',
    podSelector: spec.podSelector ?? {},
    opens: {
      ingress: types.includes('Ingress') && (spec.ingress ?? []).length > 0,
      egress: types.includes('Egress') && (spec.egress ?? []).length > 0,
    },
    ...(ours
      ? {
          ours: {
            ...(segment === undefined ? {} : { segment }),
            role: roleOf(metadata.name ?? ''),
            labels,
            annotations: metadata.annotations ?? {},
          },
          spec,
        }
      : {}),
  };
}

/** Is it as it should be? The whole spec counts, also what somebody else added; of labels and annotations only ours. */
export function isAsDesired(desired: NetworkPolicy, actual: ActualPolicy | undefined): boolean {
  if (actual?.ours === undefined) return false;
  const { labels, annotations } = actual.ours;
  return (
    holds(desired.metadata.labels, labels) && holds(desired.metadata.annotations, annotations) && sameSpec(desired.spec, actual.spec ?? {})
  );
}

/** The server leaves empty lists out and fills in an empty selector. */
export function sameSpec(a: PolicySpec, b: PolicySpec): boolean {
  return equalJson(complete(a), complete(b));
}

function complete(spec: PolicySpec): object {
  return {
    podSelector: spec.podSelector ?? {},
    policyTypes: spec.policyTypes ?? [],
    ingress: spec.ingress ?? [],
    egress: spec.egress ?? [],
  };
}

function holds(wanted: Record<string, string> | undefined, actual: Record<string, string>): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => actual[key] === value);
}

/** By the name, because a label may be edited and a name may not. */
function roleOf(name: string): Role | 'unknown' {
  if (name === SITE_DENY_NAME) return 'site-deny';
  if (name === QUARANTINE_NAME) return 'quarantine';
  return (['deny', 'allow-in', 'allow-out'] as const).find((role) => name.endsWith(`-${role}`)) ?? 'unknown';
}
