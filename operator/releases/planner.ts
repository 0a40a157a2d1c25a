// The plan of each release, as old as it may be: a plan looks at every device, and devices change all the time while a release runs.
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import type { ObjectMeta } from '../api/meta.ts';
import { NAMESPACES } from '../api/resources.ts';
import { type Candidate, planWaves, type WavePlan } from '../firmware/firmware.ts';
import type { KubeClient } from '../kube/client.ts';

/** Long beside the half second that a plan of 100,000 devices takes, short beside a soak. */
const MAX_AGE_MS = 60_000;
/** After a change of the fleet; many that come at once are one change. */
const SHORT_AGE_MS = 5000;
/** A namespace with it is its administrator's word that releases there are for the Devices of all namespaces. */
const FLEET_LABEL = 'hedgerow.dev/fleet';

export type PlannerDeps = { client: Pick<KubeClient, 'get'>; candidates: () => Iterable<Candidate> };
type ReleaseOfPlan = { uid: string; namespace: string; generation: number; spec: FirmwareReleaseSpec };

export function createPlanner({ client, candidates }: PlannerDeps) {
  const plans = new Map<string, { plan: WavePlan; madeAt: number; generation: number; isOutdated: boolean; isFleet: boolean }>();

  return {
    /** At most `maxAgeMs` old, 0: of this moment. */
    async plan(release: ReleaseOfPlan, now: number, signal: AbortSignal, maxAgeMs = MAX_AGE_MS): Promise<WavePlan> {
      const known = plans.get(release.uid);
      const mayBe = known?.isOutdated === true ? Math.min(maxAgeMs, SHORT_AGE_MS) : maxAgeMs;
      if (known !== undefined && known.generation === release.generation && now - known.madeAt < mayBe) return known.plan;
      const namespace = await client.get<{ metadata: ObjectMeta }>(NAMESPACES, { name: release.namespace }, signal);
      const isFleet = namespace?.metadata.labels?.[FLEET_LABEL] === 'true';
      const devices = [...candidates()].filter((device) => isFleet || device.namespace === release.namespace);
      const plan = planWaves(release, devices);
      plans.set(release.uid, { plan, madeAt: now, generation: release.generation, isOutdated: false, isFleet });
      return plan;
    },
    /** Whether it is for the Devices of all namespaces, by its last plan. */
    isFleet: (uid: string): boolean => plans.get(uid)?.isFleet === true,
    outdated(): void {
      for (const known of plans.values()) known.isOutdated = true;
    },
    forget: (uid: string): void => void plans.delete(uid),
  };
}
