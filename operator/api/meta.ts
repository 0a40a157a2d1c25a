// The parts of Kubernetes' own types that every kind shares (apimachinery meta/v1). Strings stay strings: timestamps are RFC 3339 text as on the wire.

export type OwnerReference = {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
};

export type ObjectMeta = {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
  managedFields?: unknown[];
};

/** metav1.Condition: `lastTransitionTime` moves only when `status` flips. */
export type Condition = {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason: string;
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
};

/** Where a kind lives in the API server: `/apis/<group>/<version>/[namespaces/<ns>/]<plural>`; the core group is `''`. */
export type ResourceType = {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
};
