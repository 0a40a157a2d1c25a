// What the node agent reads of a pod, and whether it can run it as it is meant.
export type KeyRef = { name: string; key: string; optional?: boolean };
export type EnvVar = {
  name: string;
  value?: string;
  valueFrom?: { fieldRef?: { fieldPath: string }; configMapKeyRef?: KeyRef; secretKeyRef?: KeyRef };
};
export type Item = { key: string; path: string };
export type ProjectedSource = {
  serviceAccountToken?: { path: string; audience?: string; expirationSeconds?: number };
  configMap?: { name: string; items?: Item[]; optional?: boolean };
  secret?: { name: string; items?: Item[]; optional?: boolean };
  downwardAPI?: { items?: { path: string; fieldRef?: { fieldPath: string } }[] };
};
export type Volume = {
  name: string;
  emptyDir?: object;
  configMap?: { name: string; items?: Item[]; optional?: boolean };
  secret?: { secretName: string; items?: Item[]; optional?: boolean };
  projected?: { sources: ProjectedSource[] };
  downwardAPI?: ProjectedSource['downwardAPI'];
};
export type Container = {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: EnvVar[];
  envFrom?: object[];
  lifecycle?: object;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean; subPath?: string; subPathExpr?: string }[];
};
export type Pod = {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
    deletionGracePeriodSeconds?: number;
  };
  spec: {
    nodeName?: string;
    nodeSelector?: Record<string, string>;
    schedulingGates?: object[];
    restartPolicy?: string;
    serviceAccountName?: string;
    hostNetwork?: boolean;
    initContainers?: object[];
    ephemeralContainers?: object[];
    containers: Container[];
    volumes?: Volume[];
  };
  status?: { phase?: string };
};

/** Images that the agent has: the programs of each and what they are on this machine. The first is its entrypoint. */
export type Images = Readonly<Record<string, Readonly<Record<string, readonly [string, ...string[]]>>>>;

/**
 * Why this pod cannot be run here, in one sentence. A part of a pod that would be left out in silence makes a test say more than it knows, so such a pod
 * fails. What is left out knowingly (isolation, resources, probes) stands at the top of main.ts.
 */
export function unsupported(pod: Pod, images: Images): string | undefined {
  const { spec } = pod;
  const [container, ...others] = spec.containers;
  if (container === undefined || others.length > 0) return 'it has more than one container';
  if (spec.initContainers?.length) return 'it has init containers';
  if (spec.restartPolicy !== 'Never') return `its restartPolicy is ${spec.restartPolicy}, and nothing is restarted here`;
  if (images[container.image] === undefined) return `there is no image ${container.image} on this node`;
  if (wordsOf(container, images) === undefined) return `its image has no program ${container.command?.[0]} here`;
  if (container.lifecycle !== undefined) return 'it has lifecycle hooks';
  if (container.envFrom?.length) return 'it has envFrom';
  const mount = container.volumeMounts?.find((one) => one.subPath !== undefined || one.subPathExpr !== undefined);
  if (mount !== undefined) return `the mount of ${mount.name} has a subPath`;
  const volume = spec.volumes?.find((one) => !Object.keys(one).some((key) => VOLUMES.has(key)));
  return volume === undefined ? undefined : `volume ${volume.name} is ${Object.keys(volume).filter((key) => key !== 'name')}`;
}

/** What is to be run, before the arguments; undefined where the image has no such program. */
export function wordsOf({ image, command }: Container, images: Images): readonly string[] | undefined {
  const programs = images[image] ?? {};
  const [name = Object.keys(programs)[0] ?? '', ...rest] = command ?? [];
  const words = programs[name];
  return words === undefined ? undefined : [...words, ...rest];
}

const VOLUMES = new Set(['emptyDir', 'configMap', 'secret', 'projected', 'downwardAPI']);

/** The downward API (fieldRef): `metadata.name`, `metadata.labels['x']`, `spec.serviceAccountName` and their like. undefined: not known here. */
export function fieldOf(pod: Pod, nodeName: string, path: string): string | undefined {
  const [, map, key] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? [];
  if (map === 'labels' || map === 'annotations') return pod.metadata[map]?.[key ?? ''] ?? '';
  const { name, namespace, uid } = pod.metadata;
  const fields: Record<string, string> = {
    'metadata.name': name,
    'metadata.namespace': namespace,
    'metadata.uid': uid,
    'spec.nodeName': nodeName,
    'spec.serviceAccountName': pod.spec.serviceAccountName ?? 'default',
  };
  return fields[path];
}

/** `$(NAME)` of earlier variables, `$$` for one dollar, and what is not known stays as it is: the rule of the API for command, args and env. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name?: string) => (name === undefined ? '$' : (env[name] ?? whole)));
}

/** Fits the node of this name: no scheduling gate, and its nodeSelector asks for nothing else. */
export function fits(pod: Pod, labels: Readonly<Record<string, string>>): boolean {
  if (pod.spec.nodeName !== undefined || pod.metadata.deletionTimestamp !== undefined || pod.spec.schedulingGates?.length) return false;
  return Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
}
