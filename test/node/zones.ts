// The small model: three zones and every subset of the six conduits between them. A conduit that is not in the subset is wanted by nobody or by one side only.
import { NODES } from './layout.ts';
import type { PolicyText } from './oracle.ts';
import type { TestPod } from './pods.ts';
import { tcp } from './ports.ts';

export const ZONES_NAMESPACE = 'zones';
const ZONES = ['north', 'east', 'south'] as const;
type Zone = (typeof ZONES)[number];
/** One on which zones may open, one that nobody grants. */
const OPENED = 8883;
const PORTS = tcp(OPENED, 7777);

type Pair = { from: Zone; to: Zone };
export const PAIRS: readonly Pair[] = ZONES.flatMap((from) => ZONES.filter((to) => to !== from).map((to) => ({ from, to })));
export const SUBSETS = 2 ** PAIRS.length;

/** Both sides grant; only the one that opens; only the one that is called; nobody. */
export type Grant = 'both' | 'asked' | 'accepted' | 'none';

/** `count` different subsets, in an order and with halves of conduits that `random` draws. */
export function drawSubsets(count: number, random: () => number): Grant[][] {
  const numbers = Array.from({ length: SUBSETS }, (_, number) => ({ number, at: random() })).sort((a, b) => a.at - b.at);
  return numbers.slice(0, count).map(({ number }) =>
    PAIRS.map((_, at): Grant => {
      if ((number >> at) & 1) return 'both';
      return (['asked', 'accepted', 'none'] as const)[Math.floor(random() * 3)] ?? 'none';
    }),
  );
}

/** One SegmentPolicy a zone. */
export function zonePolicies(grants: readonly Grant[]): PolicyText[] {
  const pairs = PAIRS.map((pair, at) => ({ ...pair, grant: grants[at] ?? 'none' }));
  const ports = [{ port: OPENED }];
  return ZONES.map((zone) => ({
    apiVersion: 'hedgerow.dev/v1alpha1',
    kind: 'SegmentPolicy',
    metadata: { namespace: ZONES_NAMESPACE, name: zone },
    spec: {
      function: zone,
      // The same for all: no conduit leads upwards.
      trust: 2,
      workloads: [{ podSelector: { matchLabels: { zone } } }],
      conduits: pairs
        .filter(({ from, grant }) => from === zone && (grant === 'both' || grant === 'asked'))
        .map(({ to }) => ({ name: `to-${to}`, to: { segment: to }, ports })),
      acceptFrom: pairs
        .filter(({ to, grant }) => to === zone && (grant === 'both' || grant === 'accepted'))
        .map(({ from }) => ({ segment: from, ports })),
    },
  }));
}

/** Two a zone, one on each node. */
export function zonePods(): TestPod[] {
  return ZONES.flatMap((zone) =>
    NODES.map((node, at) => ({ name: `${zone}-${at}`, namespace: ZONES_NAMESPACE, labels: { zone }, node: node.name, ports: PORTS })),
  );
}
