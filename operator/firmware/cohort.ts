// A step of a release as a rule instead of a list: what a FirmwareWave says of its devices, and who that is. Pure.
import type { FirmwareWaveSpec } from '../api/firmware-wave.ts';
import { selects } from '../api/label-selector.ts';
import { Refused, type Result, resultOf } from './errors.ts';
import { misfitOf } from './fit.ts';
import { type Candidate, orderOf, type ReleaseFacts, type WavePlan } from './waves.ts';

/** Ranks are below this. */
const RANKS = 1_000_000;
/** A rule has to fit into an object whatever the fleet. */
const MAX_ALSO = 32;
/** Hexadecimal digits of the order that make the rank: a whole number for a double. */
const DIGITS = 12;

export type Cohort = FirmwareWaveSpec['cohort'];

/** A release with what decides who belongs to it. `firstStartedAt`: when its first wave started, ms; under Snapshot who came later is out. */
export type ReleaseOfCohort = ReleaseFacts & { firstStartedAt?: number | undefined };

/** What is known of a device and this release: `status.firmware[component]`, and whether a directive of the release is open at the broker. */
export type Part = { releaseUid?: string | undefined; step?: number | undefined; isOpen?: boolean };

/** The place of a device in a release, 0 to 999,999: the order of `planWaves`, coarser. */
export function rankOf(release: string, device: string): number {
  return Math.floor((Number.parseInt(orderOf(release, device).slice(0, DIGITS), 16) / 16 ** DIGITS) * RANKS);
}

/**
 * Whether a device is in a step at its site. Who has ended in a step is in that one for good, whatever its labels, its hardware or the range became since: counters are
 * sets of devices. Everybody else by the rule, so a step carries on with whom the steps before it did not bring to an end, as far as its range includes them.
 */
export function isInStep(
  { uid, spec, firstStartedAt }: ReleaseOfCohort,
  { step, cohort }: Pick<FirmwareWaveSpec, 'step' | 'cohort'>,
  device: Candidate,
  part: Part,
): boolean {
  if (part.releaseUid === uid && part.step !== undefined) return part.step === step;
  if (!selects(spec.selector, device.labels) || !selects(cohort.selector ?? {}, device.labels)) return false;
  if (rankOf(uid, device.uid) >= cohort.rankBelow && cohort.also?.includes(device.name) !== true) return false;
  if (part.isOpen === true) return true;
  const isLate = spec.membership === 'Snapshot' && firstStartedAt !== undefined && (device.createdAt ?? 0) > firstStartedAt;
  return !isLate && misfitOf(spec, device) === undefined;
}

/**
 * The rules of one step, by site (namespace) with devices of it. Devices of equal rank at the end of the range are all in it: about one device in a million for each
 * device. The last part of a wave that takes all is open to the end, so that it takes who joins meanwhile. Refused (HR-FW-028) where `spread` needs more devices of one
 * site beyond the range than a rule can name.
 */
export function rulesOf({ uid, spec }: ReleaseFacts, plan: WavePlan, at: number): Result<ReadonlyMap<string, Cohort>> {
  return resultOf(() => {
    const step = plan.steps[at];
    const wave = spec.rollout.waves.find(({ name }) => name === step?.wave);
    if (step === undefined || wave === undefined) return new Map();
    const later = [...plan.steps.slice(at + 1).flatMap(({ devices }) => devices), ...plan.left];
    const behind = least(later.filter(({ labels }) => selects(wave.selector ?? {}, labels)).map((device) => orderOf(uid, device.uid)));
    const inside = step.devices.filter((device) => behind === undefined || orderOf(uid, device.uid) < behind);
    const isOpen = behind === undefined && (wave.size === undefined || wave.growth !== undefined);
    const rankBelow = isOpen ? RANKS : Math.max(0, ...inside.map((device) => rankOf(uid, device.uid) + 1));
    const sites = new Map<string, Cohort>();
    for (const [site, devices] of Map.groupBy(step.devices, ({ namespace }) => namespace)) {
      const also = devices.filter((device) => rankOf(uid, device.uid) >= rankBelow).map(({ name }) => name);
      if (also.length > MAX_ALSO)
        throw new Refused('HR-FW-028', `wave ${wave.name} needs ${also.length} devices of ${site} for spread, besides its size`);
      sites.set(site, {
        ...(wave.selector === undefined ? {} : { selector: wave.selector }),
        rankBelow,
        ...(also.length > 0 ? { also } : {}),
      });
    }
    return sites;
  });
}

function least(orders: readonly string[]): string | undefined {
  return orders.reduce<string | undefined>((first, one) => (first === undefined || one < first ? one : first), undefined);
}
