// A sample of the small model, packet by packet. Every subset is compared between the operator and the verifier without nodes; here the packets are asked too.
import { seededRandom } from '../../operator/runtime/random.ts';
import type { Cluster } from '../controlplane/cluster.ts';
import { apply, get } from '../controlplane/testing.ts';
import { waitFor } from '../harness/wait.ts';
import type { Fleet } from './fleet.ts';
import { IMAGES } from './images.ts';
import type { Lab } from './lab.ts';
import type { PolicyText } from './oracle.ts';
import { startAddresses } from './places.ts';
import { reachIsExactly } from './reach.ts';
import type { Step } from './runner.ts';
import { drawSubsets, SUBSETS, ZONES_NAMESPACE, zonePods, zonePolicies } from './zones.ts';

const SAMPLED = 12;

export function zoneSteps(lab: Lab, fleet: Fleet): Step[] {
  return [
    {
      sentence: 'of all subsets of conduits over three zones, a sample is in packets what it is on paper',
      run: async () => {
        const cluster = lab.cluster();
        const seed = Number(process.env.HEDGEROW_SEED ?? Date.now() % 1_000_000);
        await apply(cluster, [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: ZONES_NAMESPACE } }]);
        const addresses = await startAddresses(cluster, zonePods(), IMAGES.podtool.reference);
        let compared = 0;
        let open = 0;
        for (const grants of drawSubsets(SAMPLED, seededRandom(seed))) {
          const policies = zonePolicies(grants);
          await apply(cluster, policies);
          await compiled(cluster, policies);
          const seen = await reachIsExactly(cluster, addresses, fleet.outside(), { policies, gone: [], sites: new Set() }).catch(
            (error: Error) => {
              throw new Error(`seed ${seed}, ${grants.join(' ')}: ${error.message}`);
            },
          );
          compared += seen.all;
          open += seen.open;
        }
        return `${SAMPLED} of ${SUBSETS}, HEDGEROW_SEED=${seed}; ${open} connections of ${compared} open, as the segments' text and the verifier say`;
      },
    },
  ];
}

type Status = { items: { metadata: { name: string; generation: number }; status?: { observedGeneration?: number } }[] };

/** The operator has read these texts: a look before that could find what the texts before allowed. */
function compiled(cluster: Cluster, policies: readonly PolicyText[]): Promise<true> {
  return waitFor(
    'the operator to compile the zones',
    async () => {
      const { items } = await get<Status>(cluster, 'segmentpolicies.hedgerow.dev', '-n', ZONES_NAMESPACE);
      const behind = items.filter(({ metadata, status }) => status?.observedGeneration !== metadata.generation);
      if (items.length < policies.length || behind.length > 0)
        throw new Error(`${behind.map(({ metadata }) => metadata.name).join(', ')} are behind`);
      return true as const;
    },
    { timeoutMs: 30_000 },
  );
}
