// The door of the reach room: what manifests really allow in the network. It shares no code with what makes NetworkPolicies (operator/segments), so that each can find the
// other's mistakes; the layers test holds it to that.
import { networkOf as networkOfCidr, rangeOf } from './addresses.ts';
import { blastOf as blastOfDevice } from './blast.ts';
import { type Connection, connectionsList, connectionsOf, workloadText } from './connections.ts';
import { differencesList, differencesOf } from './connections-diff.ts';
import { createIntent as createIntentOf } from './intent.ts';
import { intentDifference as differenceOf } from './intent-diff.ts';
import { readInvariants as readInvariantsOf } from './invariant.ts';
import { checkInvariants as checkThem } from './invariant-check.ts';
import { mermaidOf } from './mermaid.ts';
import { pictureOf } from './picture.ts';
import { quarantineOf } from './quarantine.ts';
import { reachChange as changeOf } from './reach-change.ts';
import { svgOf } from './svg.ts';
import { createVerifier as createVerifierOf, type Verifier } from './verifier.ts';
import { type Manifest, readWorld } from './world.ts';

export type { Blast } from './blast.ts';
export type { NotInForce } from './broker-rights.ts';
export type { BrokerRead } from './broker-view.ts';
export type { Intent, Means, PairCount } from './intent.ts';
export type { Party } from './intent-party.ts';
export type { Checked } from './invariant-check.ts';
export type { Quarantined } from './quarantine.ts';
export type { ReachChange } from './reach-change.ts';
export type { Verdict, Verifier, WayAnswer } from './verifier.ts';
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
/** A CIDR, or one address. */
export const isRange = (text: string): boolean => rangeOf(text) !== undefined;

/** Who may reach whom as SegmentPolicies, Devices and namespaces mean it (docs/guides/who-reaches-whom.md). */
export const createIntent = createIntentOf;
export const intentDifference = differenceOf;

/** What can be asked of manifests as a whole: `live` when they are all that is in a cluster. `now`: ms since the epoch. */
export const createVerifier = createVerifierOf;

/** Newly reachable and newly blocked from the one to the other. */
export const reachChange = changeOf;

/** What somebody reaches who has taken this device (`<namespace>/<name>`), in at most so many hops. */
export const blastOf = blastOfDevice;

/** What a quarantine takes from this device, and what it leaves. */
export const whatQuarantineTakes = quarantineOf;

/** `document`: what a YAML file of invariants says (docs/guides/verify.md). */
export const readInvariants = readInvariantsOf;
export const checkInvariants = checkThem;

/** Segments and conduits as a picture. */
export const graphText = (verifier: Verifier, form: 'mermaid' | 'svg'): string => (form === 'svg' ? svgOf : mermaidOf)(pictureOf(verifier));
