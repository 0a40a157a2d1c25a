// Manifests as the evaluator sees them: namespaces, pods and NetworkPolicies. What could not be read is said, never left out in silence.
import { isObject, type Labels } from './label-selector.ts';
import { type NetworkPolicy, readPolicy } from './network-policy.ts';
import { isName, isWorkloadKind, type Pods, readLabels, readPods } from './workload.ts';

export type World = {
  /** Of namespaces that have an object of their own; every other has its name as its only label. */
  namespaces: ReadonlyMap<string, Labels>;
  pods: readonly Pods[];
  policies: readonly NetworkPolicy[];
  /** Each in a sentence: what the answers do not take into account. */
  omitted: readonly string[];
};

export type Manifest = { source: string; object: unknown };

/** KEP-2161: the API server sets it on every namespace. */
const NAME_LABEL = 'kubernetes.io/metadata.name';
const POLICY_GROUPS = /^(policy\.networking\.k8s\.io|cilium\.io|crd\.projectcalico\.org|projectcalico\.org)\//;

export function readWorld(manifests: Iterable<Manifest>): World {
  const namespaces = new Map<string, Labels>();
  const pods: Pods[] = [];
  const policies: NetworkPolicy[] = [];
  const omitted: string[] = [];
  for (const { source, object } of flattened(manifests)) {
    const place = isObject(object.metadata) ? object.metadata : {};
    const kind = typeof object.kind === 'string' ? object.kind : '';
    const apiVersion = typeof object.apiVersion === 'string' ? object.apiVersion : '';
    const name = typeof place.name === 'string' ? place.name : '';
    const namespace = typeof place.namespace === 'string' && place.namespace !== '' ? place.namespace : 'default';
    const leaveOut = (why: string): void => void omitted.push(`${source}: ${kind} ${namespace}/${name || '?'}: ${why}`);
    if (kind === 'Namespace') {
      const labels = readLabels(place);
      if (typeof labels === 'string') leaveOut(labels);
      else namespaces.set(name, new Map([...labels, [NAME_LABEL, name]]));
    } else if (isWorkloadKind(kind)) {
      const read = isName(name) && isName(namespace) ? readPods(kind, namespace, name, object) : 'it has no proper name';
      if (typeof read === 'string') leaveOut(read);
      else pods.push(read);
    } else if (kind === 'NetworkPolicy' && (apiVersion === '' || apiVersion === 'networking.k8s.io/v1')) {
      const read = readPolicy(namespace, name, object.spec);
      if (typeof read === 'string') leaveOut(read);
      else policies.push(read);
    } else if (POLICY_GROUPS.test(apiVersion)) {
      leaveOut(`policies of ${apiVersion} are not evaluated`);
    }
  }
  return { namespaces, pods, policies, omitted };
}

export function labelsOfNamespace(world: World, namespace: string): Labels {
  return world.namespaces.get(namespace) ?? new Map([[NAME_LABEL, namespace]]);
}

/** Lists are opened; their items may lack apiVersion and kind, as those of `kubectl get -o json` of a typed list do. */
export function* flattened(manifests: Iterable<Manifest>): Iterable<{ source: string; object: Record<string, unknown> }> {
  for (const { source, object } of manifests) {
    if (!isObject(object)) continue;
    const kind = typeof object.kind === 'string' ? object.kind : '';
    if (!kind.endsWith('List') || !Array.isArray(object.items)) {
      yield { source, object };
      continue;
    }
    const ofItems = kind === 'List' ? {} : { kind: kind.slice(0, -'List'.length), apiVersion: object.apiVersion };
    yield* flattened(object.items.map((item: unknown) => ({ source, object: isObject(item) ? { ...ofItems, ...item } : item })));
  }
}
