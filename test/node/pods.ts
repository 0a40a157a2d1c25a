// Small pods that listen and call.
import type { Cluster } from '../controlplane/cluster.ts';
import { apply, get } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';
import { answers, SHUT_AFTER, type Target } from './calls.ts';
import type { Port } from './ports.ts';

export type TestPod = {
  name: string;
  namespace: string;
  labels: Record<string, string>;
  node: string;
  /** What it listens on; on SCTP it has not the right to. */
  ports: readonly Port[];
  /** What its container names of that. Default: all of it. */
  declared?: readonly Port[];
};
/** A pod's name in its namespace, `berlin/gateway`. */
export type PodName = string;

export function podObject(pod: TestPod, image: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: pod.namespace, labels: pod.labels },
    spec: {
      nodeName: pod.node,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'podtool',
          image,
          imagePullPolicy: 'Never',
          command: [
            '/podtool',
            'serve',
            ...pod.ports.filter(({ protocol }) => protocol !== 'SCTP').map(({ protocol, port }) => `${protocol}/:${port}`),
          ],
          ports: (pod.declared ?? pod.ports).map(({ protocol, port, name }) => ({
            protocol,
            containerPort: port,
            ...(name === undefined ? {} : { name }),
          })),
          securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  };
}

export async function startPods(cluster: Cluster, pods: readonly TestPod[], image: string): Promise<Map<PodName, string>> {
  await apply(
    cluster,
    pods.map((pod) => podObject(pod, image)),
  );
  const wanted = new Set(pods.map((pod) => `${pod.namespace}/${pod.name}`));
  return waitFor(
    'the pods to run',
    async () => {
      const { items } = await get<PodList>(cluster, 'pods', '--all-namespaces');
      const running = items.filter(({ metadata, status }) => wanted.has(`${metadata.namespace}/${metadata.name}`) && isReady(status));
      if (running.length < wanted.size) throw new Error(`${running.length} of ${wanted.size} are Ready`);
      return new Map(running.map(({ metadata, status }) => [`${metadata.namespace}/${metadata.name}`, status?.podIP ?? '']));
    },
    { timeoutMs: 60_000, everyMs: 250 },
  );
}

export type PodStatus = { podIP?: string; conditions?: { type: string; status: string }[] };
type PodList = { items: { metadata: { name: string; namespace: string }; status?: PodStatus }[] };

export function isReady(status: PodStatus | undefined): boolean {
  return status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** Which of the targets answer when the pod itself calls them, with the rights that it has. */
export async function reachableByPod(cluster: Cluster, from: PodName, targets: readonly Target[]): Promise<Set<Target>> {
  const [namespace = '', name = ''] = from.split('/');
  const { stdout, stderr, code } = await cluster.kubectl([
    'exec',
    '-n',
    namespace,
    name,
    '--',
    '/podtool',
    'connect',
    SHUT_AFTER,
    ...targets,
  ]);
  if (code !== 0) throw new Error(`kubectl exec in ${from}: ${stderr.trim()}`);
  return answers(stdout, targets);
}
