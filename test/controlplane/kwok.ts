// kwok: nodes that are not there, whose pods run and complete at once. The real scheduler and controllers do the rest.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { AdminApi, Manifest } from './api.ts';

const STAGES = ['node/fast', 'node/heartbeat-with-lease', 'pod/fast'];
const RBAC = ['service_account.yaml', 'role.yaml', 'role_binding.yaml', 'flow_schema.yaml'];

/** Applies kwok's own roles and writes its stages into one file (without stages it stops with "no stages found"). */
export async function installKwok(api: AdminApi, options: { assets: string; stagesFile: string }): Promise<void> {
  const folder = join(options.assets, 'kwok');
  const objects: Manifest[] = [];
  for (const file of RBAC) objects.push(...(await manifests(join(folder, 'rbac', file))));
  await api.apply(objects);
  const stages: string[] = [];
  for (const stage of STAGES) {
    for (const file of (await readdir(join(folder, 'stage', stage))).sort()) {
      if (file.endsWith('.yaml') && file !== 'kustomization.yaml') stages.push(await readFile(join(folder, 'stage', stage, file), 'utf8'));
    }
  }
  await writeFile(options.stagesFile, stages.join('\n---\n'));
}

/** A node that kwok plays: Ready within a second, takes any number of pods. */
export function fakeNode(name: string): object {
  const capacity = { cpu: '32', memory: '256Gi', pods: '1000' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, annotations: { 'kwok.x-k8s.io/node': 'fake' }, labels: { type: 'kwok', 'kubernetes.io/hostname': name } },
    status: { allocatable: capacity, capacity },
  };
}

async function manifests(file: string): Promise<Manifest[]> {
  return parseAllDocuments(await readFile(file, 'utf8'))
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object !== null);
}
