// The number of a driver among all that ever worked at a site for a component: higher than those before it. Devices drop what comes under a lower one.
import { LEASES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import { microTime } from '../runtime/events.ts';
import type { Random } from '../runtime/random.ts';

type Lease = KubeObject & { spec?: { holderIdentity?: string; leaseTransitions?: number; acquireTime?: string } };
export type FenceDeps = { client: Pick<KubeClient, 'get' | 'create' | 'update'>; namespace: string; clock: Clock; random: Random };

const MOST_TRIES = 50;
const AGAIN_MS = 200;

/** Takes the next number: of two that ask at once, one gets the one after. Rejects with `KubeError`. */
export async function takeFence(
  { site, component, identity }: { site: string; component: string; identity: string },
  { client, namespace, clock, random }: FenceDeps,
  signal: AbortSignal,
): Promise<number> {
  const ref = { namespace, name: `hedgerow-fence-${site}-${component}` };
  for (let tries = 0; ; tries++) {
    try {
      const lease = await client.get<Lease>(LEASES, ref, signal);
      const number = (lease?.spec?.leaseTransitions ?? 0) + 1;
      const spec = { holderIdentity: identity, leaseTransitions: number, acquireTime: microTime(clock.now()) };
      if (lease === undefined) await client.create<Lease>(LEASES, { metadata: ref, spec }, signal);
      // With the resourceVersion that was read: a compare-and-swap.
      else await client.update<Lease>(LEASES, { ...lease, spec: { ...lease.spec, ...spec } }, {}, signal);
      return number;
    } catch (error) {
      if (tries >= MOST_TRIES || !(isConflict(error) || isAlreadyExists(error))) throw error;
      await clock.sleep(AGAIN_MS * (1 + random()), signal);
    }
  }
}
