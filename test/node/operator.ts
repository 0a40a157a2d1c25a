// The operator as its chart installs it, and what can be seen of its pod: through the API, and as a process of this machine.
import { readFileSync } from 'node:fs';
import type { Cluster } from '../controlplane/cluster.ts';
import { apply, get } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';
import { CHART } from '../scenarios/chart.ts';
import { cgroupProcesses } from './cgroups.ts';
import { IMAGES } from './images.ts';
import { CENTRE_IP } from './layout.ts';
import { isReady, type PodStatus } from './pods.ts';
import { sampleNamespaces } from './sample.ts';

export const OPERATOR_NAMESPACE = 'hedgerow-system';

export type BrokerAccess = { restUrl: string; mqttPort: number; caPem: string; apiKey: { key: string; secret: string } };

export function valuesFor(cluster: Cluster, broker: BrokerAccess): object {
  const [repository, tag] = IMAGES.hedgerow.reference.split(':');
  return {
    // Without a registry an image is there or it is not.
    image: { repository, tag, pullPolicy: 'Never' },
    broker: {
      url: broker.restUrl,
      port: broker.mqttPort,
      restPort: Number(new URL(broker.restUrl).port),
      cidr: `${CENTRE_IP}/32`,
      ca: { configMap: 'broker-ca' },
      mqtt: { address: `${CENTRE_IP}:${broker.mqttPort}`, issuer: `Issuer/${sampleNamespaces()[0]}/hedgerow-devices` },
    },
    networkProbe: { enabled: true },
    networkPolicy: { apiServer: { cidrs: [`${CENTRE_IP}/32`], ports: [Number(new URL(cluster.server).port)] } },
  };
}

/** What the administrator does before the chart, as docs/guides/install.md says. */
export async function prepareNamespace(cluster: Cluster, broker: BrokerAccess): Promise<void> {
  const namespace = OPERATOR_NAMESPACE;
  await apply(cluster, [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'hedgerow-broker', namespace },
      stringData: { 'api-key': `${broker.apiKey.key}:${broker.apiKey.secret}` },
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'broker-ca', namespace }, data: { 'ca.crt': broker.caPem } },
  ]);
}

/** `helm install --wait`, or any other verb with the same values. Rejects with helm's words and, when the pod is to blame, with the pod's. */
export async function helmWait(cluster: Cluster, verb: 'install' | 'upgrade', values: object, ...more: string[]): Promise<void> {
  const args = [verb, 'hedgerow', CHART, '--namespace', OPERATOR_NAMESPACE, '--wait', '--timeout', '60s', '--values', '-', ...more];
  try {
    await cluster.helm(args, JSON.stringify(values));
  } catch (error) {
    const { stdout } = await cluster.kubectl(['logs', '-n', OPERATOR_NAMESPACE, '-l', 'app.kubernetes.io/component=operator', '--tail=12']);
    const log = stdout
      .split('\n')
      .map((line) => line.slice(0, 300))
      .join('\n');
    throw new Error(`${error instanceof Error ? error.message : String(error)}\nthe operator's log ends with:\n${log}`);
  }
}

export type OperatorPod = { name: string; ip: string; node: string; uid: string };

type PodList = {
  items: { metadata: { name: string; uid: string; deletionTimestamp?: string }; spec: { nodeName?: string }; status?: PodStatus }[];
};

/** The one operator pod that is Ready; waits for it. */
export function operatorPod(cluster: Cluster, notUid?: string): Promise<OperatorPod> {
  return waitFor(
    'a Ready pod of the operator',
    async () => {
      const { items } = await get<PodList>(cluster, 'pods', '-n', OPERATOR_NAMESPACE, '-l', 'app.kubernetes.io/component=operator');
      const living = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined && metadata.uid !== notUid);
      const [pod] = living.filter(({ status }) => isReady(status));
      if (pod === undefined || living.length !== 1) return undefined;
      return { name: pod.metadata.name, uid: pod.metadata.uid, ip: pod.status?.podIP ?? '', node: pod.spec.nodeName ?? '' };
    },
    { timeoutMs: 60_000, everyMs: 200 },
  );
}

export type Seen = { pid: number; command: string; environment: string; status: Map<string, string>; rootMount: string; rssMb: number };

/** The operator's process as the kernel shows it: not what was asked for, but what is. */
export function operatorProcess(): Seen {
  const found = [...new Set(cgroupProcesses())].filter((pid) => /\/usr\/bin\/operator\0(?!canary)/.test(text(`/proc/${pid}/cmdline`)));
  const [pid] = found;
  if (pid === undefined || found.length > 1) throw new Error(`${found.length} processes of the operator in the nodes' cgroups`);
  const lines = text(`/proc/${pid}/status`).split('\n');
  const status = new Map(lines.map((line) => line.split(/:\s*/) as [string, string]));
  return {
    pid,
    command: text(`/proc/${pid}/cmdline`).replaceAll('\0', ' '),
    environment: text(`/proc/${pid}/environ`),
    status,
    rootMount:
      text(`/proc/${pid}/mounts`)
        .split('\n')
        .find((line) => line.split(' ')[1] === '/') ?? '',
    rssMb: Number.parseInt(status.get('VmRSS') ?? '0', 10) / 1024,
  };
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
