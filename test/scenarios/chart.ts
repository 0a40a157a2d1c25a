// The chart as real helm renders it, for tests.
import { join } from 'node:path';
import type { Cluster } from '../controlplane/cluster.ts';
import { parseObjects, ROOT } from '../harness/manifests.ts';

export const CHART = join(ROOT, 'charts', 'hedgerow');
export const EDGE_CHART = join(ROOT, 'charts', 'hedgerow-edge');

export type Rule = { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] };
export type Rendered = {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  rules?: Rule[];
  spec?: unknown;
};
export type PodSpec = {
  containers: {
    name: string;
    command: string[];
    args: string[];
    env?: { name: string; value?: string }[];
    image: string;
    securityContext: Record<string, unknown>;
    volumeMounts?: { mountPath: string }[];
  }[];
  securityContext: Record<string, unknown>;
  volumes?: object[];
  serviceAccountName: string;
};

export const MINIMAL = { broker: { url: 'https://emqx.emqx:18083' } };

/** Everything the chart makes with these values beside the broker's address. Rejects with helm's words. */
export async function render(cluster: Cluster, values: Record<string, unknown> = {}, namespace = 'hedgerow-system'): Promise<Rendered[]> {
  const yaml = await cluster.helmTemplate(CHART, { ...MINIMAL, ...values }, namespace);
  return parseObjects(yaml) as unknown as Rendered[];
}

export function podOf(objects: readonly Rendered[]): PodSpec {
  const deployment = objects.find(({ kind }) => kind === 'Deployment');
  if (deployment === undefined) throw new Error('the chart has no Deployment');
  return (deployment.spec as { template: { spec: PodSpec } }).template.spec;
}
