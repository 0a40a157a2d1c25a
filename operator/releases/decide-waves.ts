// The FirmwareWaves that there are to be: those that there are, as they are to go on, and those of the step that begins. Pure.
import { createHash } from 'node:crypto';
import type { FirmwareWaveSpec } from '../api/firmware-wave.ts';
import { type Candidate, type Result, rulesOf, type Step } from '../firmware/firmware.ts';
import { type Decision, isDone, type Situation, wasBack } from './decide.ts';
import { paceOf, type SitePace } from './decide-pace.ts';
import { type StepAhead, type StepSoFar, totalOf } from './decide-steps.ts';
import type { WaveView } from './view.ts';

/** A site that is not heard of for longer begins with no further devices. */
const GRANT_MS = 24 * 3600_000;
const HOUR_MS = 3600_000;
/** More would be too much for one driver. */
const DEVICES_OF_SHARD = 5000;
const MAX_SHARDS = 12;

export type WaveWish = { namespace: string; name: string; labels: Record<string, string>; spec: FirmwareWaveSpec };
export type ReleaseName = { namespace: string; name: string };

type Cohort = FirmwareWaveSpec['cohort'];
/** A wave that is not there yet. `share`: its devices, for pace and shards. */
type Fresh = { site: string; wave: string; step: number; cohort: Cohort; share: number };

/** All waves of the release that are to change or to be made; a problem where a step cannot be written as rules. */
export function wavesWanted(release: ReleaseName, situation: Situation, decision: Decision): Result<WaveWish[]> {
  const { steps } = situation;
  const begun =
    decision.next.do === 'Start' ? startOf(situation, decision.ahead[0]) : { ok: true as const, value: missingOf(situation, decision) };
  if (!begun.ok) return begun;
  const fresh = begun.value;
  const waves = steps.flatMap((step) => step.waves);
  const working = waves.filter((wave) => !isDone(wave) && !isOvertaken(wave, steps));
  const shares = [
    ...working.map((wave) => ({ site: wave.key, share: wave.status?.counts?.matched ?? wave.spec.maxInFlight, has: wave.spec })),
    ...fresh.map((one) => ({ site: freshKey(one), share: one.share, has: undefined })),
  ];
  const pace = paceOf(situation.spec.rollout.pace, totalOf(steps).confirmed, shares);
  const going = waves.flatMap((wave): WaveWish[] => {
    const action = decision.actionOf(wave);
    if (action === 'Install' && !working.includes(wave)) return [];
    // Written again it would ask for another Job, which takes the fence from a later release.
    if (action === wave.spec.action && wasBack(wave)) return [];
    return [
      {
        namespace: wave.namespace,
        name: wave.name,
        labels: labelsOf(release, situation.uid),
        spec: goingOn(wave, situation, decision, pace),
      },
    ];
  });
  return { ok: true, value: [...going, ...fresh.map((one) => freshWave(release, situation, one, pace.get(freshKey(one))))] };
}

/** Another step of the release has begun at the site: it carries on with whoever is left. */
export function isOvertaken(wave: WaveView, steps: readonly StepSoFar[]): boolean {
  return steps.some(({ step, waves }) => step > wave.spec.step && waves.some(({ namespace }) => namespace === wave.namespace));
}

/** What was decided at the start stays: who, which statement, how many drivers. */
function goingOn(
  wave: WaveView,
  { generation, now }: Situation,
  decision: Decision,
  pace: ReadonlyMap<string, SitePace>,
): FirmwareWaveSpec {
  const { spec } = wave;
  const action = decision.actionOf(wave);
  const own = pace.get(wave.key);
  // Going back is never held up.
  const suspend = action === 'Install' && (decision.isSuspended || own === undefined);
  const isFresh = Date.parse(spec.grantExpires) - now > GRANT_MS / 2;
  return {
    ...spec,
    ...{ action, suspend, release: { ...spec.release, generation } },
    ...(own === undefined || action !== 'Install' ? {} : own),
    grantExpires: isFresh ? spec.grantExpires : grantOf(now),
  };
}

/** Of the step that is open: sites that have no wave yet, because the operator was killed in between or because devices joined there. */
function missingOf({ steps, plan, uid, spec }: Situation, { next }: Decision): Fresh[] {
  const last = steps.at(-1);
  if (next.do !== 'Offer' || last === undefined) return [];
  const part = steps.filter(({ wave }) => wave === last.wave).length;
  const at = plan.steps.findIndex((step) => step.wave === last.wave && step.part === part);
  const rankBelow = last.waves[0]?.spec.cohort.rankBelow ?? 0;
  const rules = at === -1 ? undefined : rulesOf({ uid, spec }, plan, at);
  if (rules?.ok !== true) return [];
  const there = new Set(last.waves.map(({ namespace }) => namespace));
  const due = dueAt(plan.steps.slice(at, at + 1), uid, spec.component);
  return [...rules.value].flatMap(([site, cohort]): Fresh[] => {
    const share = due.get(site)?.length ?? 0;
    return there.has(site) || share === 0
      ? []
      : [{ ...{ site, wave: last.wave, step: last.step, share }, cohort: { ...cohort, rankBelow } }];
  });
}

function startOf({ steps, plan, uid, spec }: Situation, ahead: StepAhead | undefined): Result<Fresh[]> {
  if (ahead === undefined) return { ok: true, value: [] };
  const { wave, at } = ahead;
  const step = (steps.at(-1)?.step ?? -1) + 1;
  // Everybody that the ranges include and no step brought to an end, those of earlier steps too.
  const due = dueAt(at === undefined ? plan.steps : plan.steps.slice(0, at + 1), uid, spec.component);
  if (at === undefined) {
    const selector = spec.rollout.waves.find(({ name }) => name === wave)?.selector;
    const cohort: Cohort = { ...(selector === undefined ? {} : { selector }), rankBelow: 1_000_000 };
    return { ok: true, value: [...due].map(([site, devices]) => ({ site, wave, step, cohort, share: devices.length })) };
  }
  const rules = rulesOf({ uid, spec }, plan, at);
  if (!rules.ok) return rules;
  const value = [...rules.value].flatMap(([site, cohort]): Fresh[] => {
    const share = due.get(site)?.length ?? 0;
    return share === 0 ? [] : [{ site, wave, step, cohort, share }];
  });
  return { ok: true, value };
}

function dueAt(steps: readonly Step[], uid: string, component: string): Map<string, Candidate[]> {
  const due = steps.flatMap(({ devices }) => devices.filter(({ running }) => running[component]?.releaseUid !== uid));
  return Map.groupBy(due, ({ namespace }) => namespace);
}

function freshWave(release: ReleaseName, situation: Situation, fresh: Fresh, pace: SitePace | undefined): WaveWish {
  const { uid, generation, spec, manifestDigest = '', now } = situation;
  return {
    namespace: fresh.site,
    name: waveName(release.name, uid, fresh.step),
    labels: labelsOf(release, uid),
    spec: {
      release: { namespace: release.namespace, name: release.name, uid, generation },
      ...{ wave: fresh.wave, step: fresh.step, action: 'Install', component: spec.component, manifestDigest, catalog: catalogName(uid) },
      cohort: fresh.cohort,
      shards: Math.min(MAX_SHARDS, Math.max(1, Math.ceil(fresh.share / DEVICES_OF_SHARD))),
      ...(pace ?? { perMinute: 1, maxInFlight: 1 }),
      suspend: pace === undefined,
      grantExpires: grantOf(now),
    },
  };
}

const freshKey = ({ site, step }: Fresh): string => `${site}#${step}`;

/** By whole hours, so that asking twice gives the same. */
const grantOf = (now: number): string => new Date(Math.ceil((now + GRANT_MS) / HOUR_MS) * HOUR_MS).toISOString().replace('.000Z', 'Z');

export const catalogName = (uid: string): string => `hedgerow-release-${uid}`;

/** The same for everybody who asks; two releases of one name in two namespaces have different ones. */
function waveName(name: string, uid: string, step: number): string {
  const hash = createHash('sha256').update(uid).digest('hex').slice(0, 8);
  return `${name.slice(0, 40).replace(/[^a-z0-9]+$/, '')}-${step}-${hash}`;
}

export const RELEASE_UID_LABEL = 'hedgerow.dev/release-uid';
const labelsOf = ({ name }: ReleaseName, uid: string): Record<string, string> => ({
  'app.kubernetes.io/managed-by': 'hedgerow',
  'hedgerow.dev/release': name.slice(0, 63).replace(/[^a-z0-9]+$/, ''),
  [RELEASE_UID_LABEL]: uid,
});
