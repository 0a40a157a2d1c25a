// The door of the releases room, and the controller of FirmwareReleases: observe, verify, decide, act, and write one status. Read `reconcile` from top to bottom.
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import { apiVersionOf, FIRMWARE_RELEASES, FIRMWARE_WAVES, JOBS } from '../api/resources.ts';
import type { Candidate } from '../firmware/firmware.ts';
import { explainFirmware, reasonOfFirmware } from '../firmware/firmware.ts';
import type { KubeClient } from '../kube/client.ts';
import { type Key, keyOfRef } from '../kube/object.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Controller, createController, type ReconcileContext } from '../runtime/controller.ts';
import type { Recorder } from '../runtime/events.ts';
import { createExpectations } from '../runtime/expectations.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import { done, type Outcome } from '../runtime/outcome.ts';
import type { Random } from '../runtime/random.ts';
import { type Acts, removeAll, writeCatalog, writeJobs, writeWaves } from './acts.ts';
import { type Asked as AskedOf, type Decision, decide, type Situation } from './decide.ts';
import { type IssuerApprovers, openApproversText } from './decide-approvers.ts';
import { lackOf } from './decide-dependencies.ts';
import { failureOf, jobsWanted } from './decide-jobs.ts';
import { isNewsToOthers, isOver, type Rival, rivalOf, saidSuperseded, supersederOf } from './decide-rivals.ts';
import { stepsSoFar } from './decide-steps.ts';
import { wavesWanted } from './decide-waves.ts';
import { newsOf } from './news.ts';
import { createPlanner } from './planner.ts';
import { releaseStatus, type Seen, statusNotConfigured } from './release-status.ts';
import type { RolloutSettings as Settings } from './settings.ts';
import { createStatusWriter } from './status-writer.ts';
import { createTrust } from './trust.ts';
import {
  type FirmwareRelease,
  type FirmwareWave,
  type Job,
  type JobView,
  jobView,
  type ReleaseView as ReleaseViewOf,
  releaseKeyOf,
  releaseView,
  WAVE_UID_LABEL,
  type WaveView,
  waveView,
} from './view.ts';
import { waveStatus } from './wave-status.ts';
import { wayBack } from './way-back.ts';

export type RolloutSettings = Settings;
export type ReleaseView = ReleaseViewOf;
/** What Interventions ask of a release. */
export type Asked = AskedOf;

/** Before the plan is. */
type Known = Pick<Situation, 'manifestDigest' | 'openApprovers'>;

type Base = { client: KubeClient; clock: Clock; random: Random; log: Log; metrics: Metrics };

export type ReleasesDeps = Base & {
  /** As `createReleaseReflector` made it. */
  releases: Reflector<ReleaseView>;
  /** The operator's own. */
  namespace: string;
  /** Undefined: no root of trust is configured, and nothing is rolled out. */
  settings: RolloutSettings | undefined;
  candidates: () => Iterable<Candidate>;
  asked(namespace: string, release: string): Asked;
  /** Who else may approve for the issuers of drivers; undefined: not known yet, and nothing is begun. */
  openApprovers(): readonly IssuerApprovers[] | undefined;
  recorder: Pick<Recorder, 'event'>;
};

export type Releases = {
  /** Something other than the release itself concerns it: an Intervention. */
  wake(release: Key): void;
  /** A Device came, went or was changed by somebody. */
  fleetChanged(): void;
  /** `openApprovers` may say something else. */
  approversChanged(): void;
  /** To be filled before anything of this room runs; that of the releases is the caller's. */
  reflectors: readonly Reflector<WaveView | JobView>[];
  controller: Controller;
};

/** One at a time: of two releases for the same devices each sees what became of the other. */
const CONCURRENCY = 1;
/** Roots expire, trust policies change, devices join: nothing tells of these. */
const LOOK_AGAIN_MS = 60_000;
/** Many devices that come at once are one change. */
const FLEET_PAUSE_MS = 5000;
const NOT_KNOWN_YET_MS = 500;
/** Who joined later is told by the fleet; this is for the pause between two steps of such. */
const LOOK_AT_COMPLETED_MS = 600_000;

export function createReleaseReflector(base: Base): Reflector<ReleaseView> {
  return createReflector<FirmwareRelease, ReleaseView>({ ...base, type: FIRMWARE_RELEASES, project: releaseView });
}

export function createReleases(deps: ReleasesDeps): Releases {
  const { client, clock, random, log, metrics, namespace, settings } = deps;
  const base = { client, clock, random, log, metrics };
  const { store } = deps.releases;
  const written = { releases: createExpectations(), waves: createExpectations() };
  const acts: Acts = { client, namespace };
  const planner = createPlanner({ client, candidates: deps.candidates });
  const trust = createTrust({ client, namespace, pinned: settings?.roots ?? [] });
  const statuses = createStatusWriter({ client, clock, ...written });
  const wake = (key: Key): void => controller.queue.add(key);
  const waves = createReflector<FirmwareWave, WaveView>({
    ...{ ...base, type: FIRMWARE_WAVES, project: waveView },
    indexes: { release: (wave) => [releaseKeyOf(wave)] },
    onChange: ({ before, after }) => wake(releaseKeyOf((after ?? before) as WaveView)),
  });
  const jobs = createReflector<Job, JobView>({
    ...{ ...base, type: JOBS, project: jobView, namespace, labelSelector: WAVE_UID_LABEL },
    indexes: { wave: (job) => [job.waveUid] },
    onChange: ({ before, after }) => {
      const wave = waves.store.get((after ?? before)?.wave ?? '');
      if (wave !== undefined) wake(releaseKeyOf(wave));
    },
  });
  const jobsOf = (own: readonly WaveView[]): JobView[] => own.flatMap(({ uid }) => jobs.store.by('wave', uid));
  /** Began in this process, before the watch could show its waves. */
  const begun = new Set<string>();
  /** Of releases that went while this process ran: what is left of them is not told by a wave alone. */
  const gone = new Map<Key, Set<string>>();
  deps.releases.subscribe(({ key, before, after }) => {
    if (before !== undefined && before.uid !== after?.uid) gone.set(key, (gone.get(key) ?? new Set()).add(before.uid));
    wake(key);
    if (!isNewsToOthers(before, after)) return;
    for (const other of store.values()) if (other.key !== key && !isOver(other)) wake(other.key);
  });

  async function reconcile(key: Key, ctx: ReconcileContext): Promise<Outcome> {
    const release = store.get(key);
    if (settings === undefined) return release === undefined ? done : notConfigured(release, ctx.signal);
    const all = waves.store.by('release', key);
    // The cache has not seen our own last write yet: its event is on the way and will come back here.
    if (written.releases.stale(key, release) || all.filter((wave) => written.waves.stale(wave.key, wave)).length > 0) return done;
    await removeThoseOfOthers(key, release?.uid, all, ctx.signal);
    if (release === undefined) return done;
    const approvers = deps.openApprovers();
    if (approvers === undefined) return { kind: 'requeue', afterMs: NOT_KNOWN_YET_MS, reason: 'ApproversNotKnown' };

    const own = all.filter(({ spec }) => spec.release.uid === release.uid);
    const belief = await trust.belief(release, clock.now(), ctx.signal);
    const { verdict } = belief;
    const known = { manifestDigest: verdict.ok ? verdict.manifestDigest : undefined, openApprovers: openApproversText(approvers) };
    const { situation, decision } = await decided(release, own, known, ctx.signal);
    if (decision.isSuperseded && saidSuperseded(release) === undefined)
      return giveWay({ release, situation, decision, belief, jobs: jobsOf(own), trouble: undefined }, ctx.signal);
    const trouble = failureOf(situation.steps, jobsOf(own));
    if (verdict.ok) await trust.catalog(release, verdict, () => writeCatalog(acts, release, verdict, ctx.signal));
    const wishes = wavesWanted(release, situation, decision);
    const changes = wishes.ok ? await writeWaves(acts, wishes.value, own, written.waves, ctx.signal) : 0;
    if (decision.next.do === 'Start' && changes > 0) begun.add(release.uid);
    // What was just written comes back by the watch, and is gone on with then.
    const isNews = changes > 0;
    const refusal = wishes.ok ? undefined : { reason: reasonOfFirmware(wishes.problem), message: explainFirmware(wishes.problem) };
    const seen: Seen = { release, situation, decision, belief, jobs: jobsOf(own), trouble: trouble ?? refusal };
    const soaks = decision.next.do === 'Soak';
    const waits = isNews ? [] : await Promise.all(own.map((wave) => statuses.wave(wave, waveStatus(wave, seen, soaks), ctx.signal)));
    // After its status: a driver that finds its wave at an end does nothing.
    if (!isNews) await writeJobs(acts, jobsWanted(situation.steps, jobsOf(own), known.openApprovers !== undefined), settings, ctx.signal);
    const next = releaseStatus(seen);
    waits.push(await statuses.release(release, next, ctx.signal));
    announce(release, next);
    return again(next.phase, decision.next.do === 'Soak' ? decision.next.until : undefined, waits);
  }

  /** Said before the first wave is stopped: whatever dies or is deleted in between, it ends the same. */
  async function giveWay(seen: Seen, signal: AbortSignal): Promise<Outcome> {
    const next = releaseStatus(seen);
    await statuses.release(seen.release, next, signal);
    announce(seen.release, next);
    return done;
  }

  /** By a plan of this moment before something begins: who is offered a release is decided then. */
  async function decided(release: ReleaseView, own: readonly WaveView[], known: Known, signal: AbortSignal) {
    const steps = stepsSoFar(own);
    const by = async (maxAgeMs?: number): Promise<{ situation: Situation; decision: Decision }> => {
      const plan = await planner.plan(release, clock.now(), signal, maxAgeMs);
      const { uid, generation, spec } = release;
      const canGoBack = wayBack(release, { plan, steps, uid }).possible;
      const asked = deps.asked(release.namespace, release.name);
      const devices = plan.steps.flatMap((step) => step.devices);
      const inTheWay = (joining: boolean) => rivalOf(release, rivals(), devices, joining);
      const lack = lackOf(release, (name) => store.get(keyOfRef({ namespace: release.namespace, name })));
      const others = { inTheWay, lack, superseded: supersededBy(release, devices) };
      const situation = { ...{ ...known, ...others, uid, generation, spec, steps, plan, asked, canGoBack }, now: clock.now() };
      return { situation, decision: decide(situation) };
    };
    const first = await by();
    return first.decision.next.do === 'Start' ? by(0) : first;
  }

  /** What its status once said holds, whatever becomes of the other release. */
  function supersededBy(release: ReleaseView, devices: readonly Candidate[]): Situation['superseded'] {
    const said = saidSuperseded(release);
    if (said !== undefined) return { by: said, isFinal: true };
    const by = supersederOf(release, rivals(), devices);
    return by === undefined ? undefined : { by, isFinal: false };
  }

  function rivals(): Rival[] {
    return Array.from(store.values(), (release) => {
      const own = waves.store.by('release', release.key).filter(({ spec }) => spec.release.uid === release.uid);
      const sites = planner.isFleet(release.uid) ? 'all' : new Set([release.namespace, ...own.map(({ namespace: site }) => site)]);
      return { release, sites, hasBegun: own.length > 0 || begun.has(release.uid) };
    });
  }

  /** Of a release that is gone, or had the name before: nothing more is offered, and nothing stays behind. */
  async function removeThoseOfOthers(key: Key, uid: string | undefined, all: readonly WaveView[], signal: AbortSignal): Promise<void> {
    const others = new Set([...all.map(({ spec }) => spec.release.uid), ...(gone.get(key) ?? [])].filter((one) => one !== uid));
    for (const other of others) {
      const left = all.filter(({ spec }) => spec.release.uid === other);
      await removeAll(acts, { uid: other, waves: left, jobs: jobsOf(left) }, signal);
      for (const part of [planner, trust, statuses]) part.forget(other);
      begun.delete(other);
    }
    gone.delete(key);
  }

  async function notConfigured(release: ReleaseView, signal: AbortSignal): Promise<Outcome> {
    if (written.releases.stale(release.key, release)) return done;
    await statuses.release(release, statusNotConfigured(release, clock.now()), signal);
    return done;
  }

  function announce({ name, namespace, uid, status }: ReleaseView, next: FirmwareReleaseStatus): void {
    const regarding = { apiVersion: apiVersionOf(FIRMWARE_RELEASES), kind: FIRMWARE_RELEASES.kind, name, namespace, uid };
    for (const note of newsOf(status, next)) deps.recorder.event(regarding, note);
  }

  function again(phase: FirmwareReleaseStatus['phase'], until: number | undefined, waits: readonly number[]): Outcome {
    if (phase === 'Failed' || phase === 'RolledBack' || phase === 'Superseded') {
      const [wait] = waits.filter((ms) => ms > 0);
      return wait === undefined ? done : { kind: 'requeue', afterMs: wait, reason: 'Counters' };
    }
    const lookAgain = phase === 'Completed' ? LOOK_AT_COMPLETED_MS : LOOK_AGAIN_MS;
    const soak = until === undefined ? [] : [Math.max(1, until - clock.now())];
    return { kind: 'requeue', afterMs: Math.min(lookAgain, ...soak, ...waits.filter((ms) => ms > 0)), reason: phase ?? '' };
  }

  const controller = createController({ name: 'firmwarerelease', concurrency: CONCURRENCY, reconcile, clock, log, metrics });

  return {
    wake,
    fleetChanged() {
      planner.outdated();
      for (const key of store.keys()) controller.queue.add(key, { band: 'background', afterMs: FLEET_PAUSE_MS });
    },
    approversChanged() {
      for (const key of store.keys()) wake(key);
    },
    reflectors: settings === undefined ? [] : [waves, jobs],
    controller,
  };
}
