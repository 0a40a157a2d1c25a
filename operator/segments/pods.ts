// Which pods belong to which segment: for the count, for pods in two segments, and for denies that outlive their policy.
import { type Labels, selects } from '../api/label-selector.ts';
import { PODS } from '../api/resources.ts';
import type { LabelSelector } from '../api/segment-policy.ts';
import { createInterner } from '../kube/intern.ts';
import { type KubeObject, keyOf, refOf } from '../kube/object.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../kube/reflector.ts';
import type { Projected } from '../kube/store.ts';

export type PodFacts = Projected & { namespace: string; labels: Labels };

type Shared = Omit<ReflectorOptions<KubeObject, PodFacts>, 'type' | 'project' | 'indexes' | 'metadataOnly' | 'onChange'>;

export type Pods = {
  reflectors: readonly [Reflector<PodFacts>, Reflector<PodFacts>];
  count(namespace: string, selectors: readonly LabelSelector[]): number;
  match(namespace: string, selector: LabelSelector): boolean;
  inNamespace(namespace: string): PodFacts[];
  /** Names of the selected pods that use the network of their node. */
  onHostNetwork(namespace: string, selectors: readonly LabelSelector[]): string[];
};

/** `onChange` gets the namespace in which pods came, went or changed their labels; nothing else about pods matters here. */
export function createPods(shared: Shared, onChange: (namespace: string) => void): Pods {
  const intern = createInterner();
  const options: ReflectorOptions<KubeObject, PodFacts> = {
    ...shared,
    type: PODS,
    metadataOnly: true,
    project: (pod) => ({
      key: keyOf(pod),
      uid: pod.metadata.uid ?? '',
      resourceVersion: pod.metadata.resourceVersion ?? '',
      namespace: intern(pod.metadata.namespace ?? ''),
      labels: Object.fromEntries(Object.entries(pod.metadata.labels ?? {}).map(([key, value]) => [intern(key), intern(value)])),
    }),
    indexes: { namespace: (pod) => [pod.namespace] },
    onChange: ({ before, after }) => {
      const pod = after ?? before;
      if (pod !== undefined && !(before !== undefined && after !== undefined && sameLabels(before.labels, after.labels)))
        onChange(pod.namespace);
    },
  };
  const reflector = createReflector(options);
  // The metadata of a pod does not say it, and the whole of it (with what is in its environment) is nobody's business here. API servers since 1.28 select by it.
  const onHost = createReflector({ ...options, name: 'pods-hostnetwork', fieldSelector: 'spec.hostNetwork=true' });
  const inNamespace = (namespace: string): PodFacts[] => reflector.store.by('namespace', namespace);
  return {
    reflectors: [reflector, onHost],
    inNamespace,
    match: (namespace, selector) => inNamespace(namespace).some((pod) => selects(selector, pod.labels)),
    onHostNetwork: (namespace, selectors) =>
      onHost.store
        .by('namespace', namespace)
        .filter((pod) => selectors.some((selector) => selects(selector, pod.labels)))
        .map(({ key }) => refOf(key).name)
        .sort(),
    count: (namespace, selectors) =>
      inNamespace(namespace).filter((pod) => selectors.some((selector) => selects(selector, pod.labels))).length,
  };
}

function sameLabels(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
