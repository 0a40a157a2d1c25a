// The door of the reach room: what manifests really allow in the network. It shares no code with what makes NetworkPolicies (operator/segments), so that each can find the
// other's mistakes; the layers test holds it to that.
import { networkOf as networkOfCidr } from './addresses.ts';
import { type Connection, connectionsList, connectionsOf, workloadText } from './connections.ts';
import { differencesList, differencesOf } from './connections-diff.ts';
import { createIntent as createIntentOf } from './intent.ts';
import { intentDifference as differenceOf } from './intent-diff.ts';
import { type Manifest, readWorld } from './world.ts';

export type { Intent, Means, PairCount } from './intent.ts';
export type { Party } from './intent-party.ts';
export type { Manifest } from './world.ts';

export type Reach = {
  connections: readonly Connection[];
  /** `<namespace>/<name>[<kind>]` of all of them, also of those that nobody can connect to. */
  workloads: ReadonlySet<string>;
  /** Each in a sentence: what the answers do not take into account. */
  omitted: readonly string[];
  /** Workloads in the network of their node: NetworkPolicies do not hold there, whatever the answers say. */
  hostNetwork: readonly string[];
};

/** Who may open which connection to whom under the NetworkPolicies of these manifests (networking.k8s.io/v1), before any CNI adds its own. */
export function reachOf(manifests: Iterable<Manifest>): Reach {
  const world = readWorld(manifests);
  return {
    connections: connectionsOf(world),
    workloads: new Set(world.pods.map(workloadText)),
    omitted: world.omitted,
    hostNetwork: [...new Set(world.pods.filter((pods) => pods.hostNetwork).map(workloadText))].sort(),
  };
}

/** `<from> => <to> : <connections>`, a line for each pair, sorted: the text of np-guard's netpol-analyzer. */
export const reachText = ({ connections }: Reach): string => connectionsList(connections);

/** What changes from `before` to `after`, in the words of the same tool. Empty when nothing does. */
export const reachDiffText = (before: Reach, after: Reach): string => differencesList(differencesOf(before, after), before, after);

export const networkOf = networkOfCidr;

/** Who may reach whom as SegmentPolicies, Devices and namespaces mean it (docs/guides/who-reaches-whom.md). */
export const createIntent = createIntentOf;
export const intentDifference = differenceOf;
