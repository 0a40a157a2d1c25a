// Pods and what makes them, as NetworkPolicies see them: a name to print, labels, named ports.
import { isObject, type Labels } from './label-selector.ts';
import { isProtocol, type Protocol } from './ports.ts';

/** Pods that no policy tells apart. */
export type Pods = {
  namespace: string;
  /** Whom they belong to: their controller, or themselves. */
  owner: { kind: string; name: string };
  labels: Labels;
  namedPorts: readonly { name: string; protocol: Protocol; port: number }[];
  /** In the network of their node, where NetworkPolicies do not hold. */
  hostNetwork: boolean;
};

/** What the API server lets through as a name, and nothing that a terminal or a list would take for something else. */
export const isName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._:-]*$/.test(text);

/** Where the pod template of a kind stands. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicationController: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

export const isWorkloadKind = (kind: string): boolean => kind === 'Pod' || Object.hasOwn(TEMPLATES, kind);

/** The pods of a manifest, or in words what is wrong with it. One that has ended counts too: what made it may make it again. */
export function readPods(kind: string, namespace: string, name: string, object: Record<string, unknown>): Pods | string {
  const template = kind === 'Pod' ? object : at(object, TEMPLATES[kind] ?? []);
  if (!isObject(template)) return 'it has no pod template';
  const labels = readLabels(template.metadata);
  if (typeof labels === 'string') return labels;
  const spec = isObject(template.spec) ? template.spec : {};
  const owner = (kind === 'Pod' ? controllerOf(template.metadata) : undefined) ?? { kind, name };
  return { namespace, owner, labels, namedPorts: namedPorts(spec), hostNetwork: spec.hostNetwork === true };
}

export function readLabels(metadata: unknown): Labels | string {
  const labels = isObject(metadata) ? (metadata.labels ?? {}) : {};
  if (!isObject(labels)) return 'metadata.labels is not an object';
  const wrong = Object.entries(labels).find(([, value]) => typeof value !== 'string');
  if (wrong !== undefined) return `the value of label ${JSON.stringify(wrong[0].slice(0, 60))} is not a string`;
  return new Map(Object.entries(labels as Record<string, string>));
}

/** A static pod is owned by its Node, which says nothing of what it is. */
function controllerOf(metadata: unknown): Pods['owner'] | undefined {
  const references = isObject(metadata) && Array.isArray(metadata.ownerReferences) ? metadata.ownerReferences : [];
  const controller: unknown = references.find((one: unknown) => isObject(one) && one.controller === true);
  if (!isObject(controller) || typeof controller.name !== 'string' || controller.kind === 'Node') return undefined;
  if (!isName(controller.name)) return undefined;
  return {
    kind: typeof controller.kind === 'string' && /^[A-Za-z0-9]+$/.test(controller.kind) ? controller.kind : 'Pod',
    name: controller.name,
  };
}

function namedPorts(spec: Record<string, unknown>): Pods['namedPorts'] {
  const containers: unknown[] = Array.isArray(spec.containers) ? spec.containers : [];
  return containers
    .flatMap((container): unknown[] => (isObject(container) && Array.isArray(container.ports) ? container.ports : []))
    .flatMap((entry) => {
      if (!isObject(entry) || typeof entry.name !== 'string' || typeof entry.containerPort !== 'number') return [];
      const protocol = entry.protocol ?? 'TCP';
      return typeof protocol === 'string' && isProtocol(protocol) ? [{ name: entry.name, protocol, port: entry.containerPort }] : [];
    });
}

function at(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (isObject(value) ? value[name] : undefined), object);
}
