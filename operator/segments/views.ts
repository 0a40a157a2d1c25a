// What the caches keep of SegmentPolicies and namespaces.
import { DEFAULT_MAX_TRUST, LABEL_MAX_TRUST, LABEL_SITE } from '../api/names.ts';
import type { SegmentPolicy, SegmentPolicyStatus } from '../api/segment-policy.ts';
import { type KubeObject, keyOf } from '../kube/object.ts';
import type { Projected } from '../kube/store.ts';
import type { PolicyFacts } from './model.ts';

export type PolicyView = Projected & PolicyFacts & { status: SegmentPolicyStatus | undefined };

export function policyView(policy: SegmentPolicy): PolicyView {
  const { metadata, spec, status } = policy;
  const accepted = status?.accepted;
  return {
    key: keyOf(policy),
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    name: metadata.name ?? '',
    namespace: metadata.namespace ?? '',
    generation: metadata.generation ?? 0,
    spec,
    ...(accepted === undefined ? {} : { lastGood: { generation: accepted.generation, spec: accepted.spec as SegmentPolicy['spec'] } }),
    status,
  };
}

export type NamespaceView = Projected & {
  /** -1: the label cannot be read and allows nothing. */ maxTrust: number;
  site: boolean;
  terminating: boolean;
};

export function namespaceView({ metadata }: KubeObject): NamespaceView {
  const label = metadata.labels?.[LABEL_MAX_TRUST];
  return {
    key: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    // As the admission policy reads it: a label that is no number closes instead of opening.
    maxTrust: label === undefined ? DEFAULT_MAX_TRUST : /^[0-4]$/.test(label) ? Number(label) : -1,
    site: metadata.labels?.[LABEL_SITE] !== undefined,
    terminating: metadata.deletionTimestamp !== undefined,
  };
}
