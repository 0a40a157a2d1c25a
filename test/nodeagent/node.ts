// The Node object and its Lease, as a kubelet keeps them: the node lifecycle controller believes in a node as long as its Lease is renewed.
import { PlainError } from '../harness/plain-api.ts';
import type { Send } from './volumes.ts';

/** A kubelet's own: nodeLeaseDurationSeconds 40, renewed at a quarter of it. */
const LEASE_SECONDS = 40;
export const RENEW_EVERY_MS = 10_000;

export const labelsOf = (name: string): Record<string, string> => ({
  'kubernetes.io/hostname': name,
  'kubernetes.io/os': 'linux',
  'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
});

/** Makes the Node, or takes over the one that it made before. */
export async function registerNode(send: Send, name: string): Promise<void> {
  const now = new Date().toISOString();
  const capacity = { cpu: '2', memory: '8Gi', pods: '110' };
  const ready = {
    ...{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'the node agent of the tests runs processes' },
    ...{ lastHeartbeatTime: now, lastTransitionTime: now },
  };
  const status = { capacity, allocatable: capacity, conditions: [ready], addresses: [{ type: 'Hostname', address: name }] };
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: labelsOf(name) }, status };
  try {
    await send('POST', '/api/v1/nodes', node);
  } catch (error) {
    if (!isConflict(error)) throw error;
    await send('PATCH', `/api/v1/nodes/${name}/status`, { status }, 'application/strategic-merge-patch+json');
  }
}

export async function renewLease(send: Send, name: string): Promise<void> {
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
  const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTime(new Date()) };
  try {
    await send('PATCH', `${path}/${name}`, { spec }, 'application/merge-patch+json');
  } catch (error) {
    if (!(error instanceof PlainError && error.status === 404)) throw error;
    await send('POST', path, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace: 'kube-node-lease' },
      spec,
    });
  }
}

export const isConflict = (error: unknown): boolean => error instanceof PlainError && error.status === 409;

const microTime = (time: Date): string => time.toISOString().replace('Z', '000Z');
