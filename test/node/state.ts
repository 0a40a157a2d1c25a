// What has to be the same before and after anything that happens to the operator.
import type { Cluster } from '../controlplane/cluster.ts';
import { get } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';

type Item = {
  kind: string;
  metadata: { name: string; namespace?: string; uid: string; generation?: number };
  spec?: unknown;
  status?: unknown;
};
type List = { items: Item[] };

/** NetworkPolicies of Hedgerow, Devices and SegmentPolicies with their status: one line each, with the uid, so that something deleted and made again shows. */
export async function stateOf(cluster: Cluster): Promise<string[]> {
  const lists = await Promise.all([
    get<List>(cluster, 'networkpolicies', '-A', '-l', 'app.kubernetes.io/managed-by=hedgerow'),
    get<List>(cluster, 'devices.hedgerow.dev', '-A'),
    get<List>(cluster, 'segmentpolicies.hedgerow.dev', '-A'),
  ]);
  return lists
    .flatMap(({ items }) => items)
    .map(
      ({ kind, metadata, spec, status }) =>
        `${kind} ${metadata.namespace}/${metadata.name} ${metadata.uid} ${JSON.stringify({ spec, status })}`,
    )
    .sort();
}

/** Longer than the operator waits before it writes counts again (operator/segments/segments.ts). */
const CALM_MS = 12_000;

/** The state once nothing changes it any more: what came before may still be on its way into the counts. */
export async function settledState(cluster: Cluster): Promise<string[]> {
  let state = await stateOf(cluster);
  let since = performance.now();
  return waitFor(
    'the state to settle',
    async () => {
      const now = await stateOf(cluster);
      if (now.join('\n') !== state.join('\n')) since = performance.now();
      state = now;
      return performance.now() - since >= CALM_MS ? state : undefined;
    },
    { timeoutMs: 90_000, everyMs: 500 },
  );
}

/** The kinds and the admission policies: what stays when the release goes. */
export async function lastingParts(cluster: Cluster): Promise<string[]> {
  const lists = await Promise.all(
    ['customresourcedefinitions', 'validatingadmissionpolicies', 'validatingadmissionpolicybindings'].map((plural) =>
      get<List>(cluster, plural),
    ),
  );
  return lists
    .flatMap(({ items }) => items)
    .filter(({ metadata }) => /hedgerow/.test(metadata.name))
    .map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.uid}`)
    .sort();
}

/** Throws with the first differences: of a line that changed, the part around where it did. */
export function expectSame(what: string, before: readonly string[], after: readonly string[]): void {
  const gone = before.filter((line) => !after.includes(line));
  const come = after.filter((line) => !before.includes(line));
  const lines = [...gone.map((line) => `- ${around(line, come)}`), ...come.map((line) => `+ ${around(line, gone)}`)];
  if (lines.length > 0) throw new Error(`${what} changed:\n${lines.slice(0, 8).join('\n')}`);
}

const WIDTH = 400;
function around(line: string, others: readonly string[]): string {
  const name = line.split(' ', 2).join(' ');
  const other = others.find((one) => one.startsWith(`${name} `)) ?? '';
  const at = [...line].findIndex((char, i) => char !== other[i]);
  return at < WIDTH ? line.slice(0, WIDTH) : `${name} …${line.slice(at - 100, at + WIDTH - 100)}`;
}
