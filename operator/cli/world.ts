// What questions about reach are asked of: a directory of manifests, as in Git, or the objects of a cluster. What could not be read is named, and the answer is then no answer.

import type { ResourceType } from '../api/meta.ts';
import { apiVersionOf, DEVICES, INTERVENTIONS, NAMESPACES, NETWORK_POLICIES, PODS, SEGMENT_POLICIES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isForbidden, isNotFound } from '../kube/errors.ts';
import { type BrokerRead, createVerifier, type Manifest, type Verifier } from '../reach/reach.ts';
import { systemClock } from '../runtime/clock.ts';
import { printable } from './adoption-text.ts';
import { brokerRules } from './broker-rules.ts';
import { withCluster } from './cluster.ts';
import type { Output } from './command.ts';
import { explain } from './errors.ts';
import { CLUSTER_FLAGS, CLUSTER_HELP, TEXT, text } from './flags.ts';
import { readManifests } from './manifest-files.ts';
import { type Values, WrongUse } from './parse.ts';

export const WORLD_FLAGS = { dir: TEXT, ...CLUSTER_FLAGS };

export const WORLD_HELP = `  --dir DIR                    ask the manifests below DIR, as in a Git checkout (or in one file), and no cluster. Without it the cluster is asked
${CLUSTER_HELP}
Your own rights are used on a cluster: list on devices, segmentpolicies, interventions, namespaces, networkpolicies and pods. What may not be listed is named.
`;

export const ERROR = 2;

export type World = {
  verifier: Verifier;
  manifests: readonly Manifest[];
  /** What names without a namespace stand in. */
  namespace: string;
  now: number;
  /** Whether everything could be read; each thing that could not was named on stderr. */
  complete: boolean;
};

/** Where the flags say: --dir, else the cluster. */
export async function readWorld(values: Values, output: Output): Promise<World> {
  const dir = text(values, 'dir');
  if (dir !== undefined)
    for (const flag of ['kubeconfig', 'context'])
      if (values[flag] !== undefined) throw new WrongUse(`--dir asks no cluster: leave out --${flag}`);
  return worldAt(dir, values, output, await brokerRules(values));
}

/** Without a path: the cluster. `rules`: what was read of the broker. */
export async function worldAt(path: string | undefined, values: Values, output: Output, rules?: BrokerRead): Promise<World> {
  const read = path === undefined ? await fromCluster(values) : await fromFiles(path, values);
  const now = systemClock.now();
  const verifier = createVerifier(read.manifests, now, path === undefined, rules);
  const missing = [...read.missing, ...verifier.survey.omitted.map((line) => explain('HR-CLI-060', place(path, line)))];
  for (const line of missing) output.err(`kubectl hedgerow: ${printable(line)}\n`);
  return { verifier, manifests: read.manifests, namespace: read.namespace, now, complete: missing.length === 0 };
}

const place = (path: string | undefined, line: string): string => (path === undefined ? line : `${path}: ${line}`);

type Read = { manifests: Manifest[]; namespace: string; missing: string[] };

async function fromFiles(path: string, values: Values): Promise<Read> {
  const { manifests, unreadable } = await readManifests(path);
  const missing = unreadable.map((line) => explain('HR-CLI-060', place(path, line)));
  return { manifests, namespace: text(values, 'namespace') ?? 'default', missing };
}

const KINDS = [SEGMENT_POLICIES, DEVICES, INTERVENTIONS, NAMESPACES, NETWORK_POLICIES, PODS];

function fromCluster(values: Values): Promise<Read> {
  return withCluster(values, async (client, namespace) => {
    const lists = await Promise.all(KINDS.map((type) => listed(client, type)));
    return { namespace, manifests: lists.flatMap(({ manifests }) => manifests), missing: lists.flatMap(({ missing }) => missing) };
  });
}

async function listed(client: Pick<KubeClient, 'list'>, type: ResourceType): Promise<Omit<Read, 'namespace'>> {
  try {
    const items = await client.list(type);
    return {
      missing: [],
      manifests: items.map((item) => ({ source: 'cluster', object: { ...item, kind: type.kind, apiVersion: apiVersionOf(type) } })),
    };
  } catch (error) {
    if (isForbidden(error)) return { manifests: [], missing: [explain('HR-CLI-063', `you may not list ${type.plural}`)] };
    if (isNotFound(error)) return { manifests: [], missing: [explain('HR-CLI-063', `${type.plural} (this cluster has no such kind)`)] };
    throw error;
  }
}
