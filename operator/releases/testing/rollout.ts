// A release, its devices and its waves for tests.
import type { FirmwareReleaseSpec } from '../../api/firmware-release.ts';
import { type Candidate, planWaves, type WavePlan } from '../../firmware/firmware.ts';
import type { Situation } from '../decide.ts';
import { decide } from '../decide.ts';
import { type Counts, stepsSoFar, sumOf } from '../decide-steps.ts';
import { wavesWanted } from '../decide-waves.ts';
import type { JobView, ReleaseView, WaveView } from '../view.ts';

export const NOW = Date.parse('2026-11-26T12:00:00Z');
export const UID = 'release-1';
export const DIGEST = `sha256:${'b'.repeat(64)}`;
export const MANIFEST = `sha256:${'c'.repeat(64)}`;

type Wave = Partial<FirmwareReleaseSpec['rollout']['waves'][number]> & { name: string };

export function specOf(waves: Wave[], more: Partial<FirmwareReleaseSpec> = {}, rollout: object = {}): FirmwareReleaseSpec {
  return {
    ...{ version: '2.4.0', component: 'app', securityCounter: 7, selector: {}, membership: 'Dynamic', author: 'ci' },
    artifacts: [{ name: 'full', oci: `registry.example.com/fw/cam@${DIGEST}`, format: 'raw', size: 1, digest: DIGEST }],
    trust: { policyRef: { name: 'firmware-root' }, envelope: '{}' },
    rollout: { waves: waves.map((wave) => ({ soak: '0s', approval: 'None', ...wave })), ...rollout },
    ...more,
  } as FirmwareReleaseSpec;
}

export const deviceOf = (at: number, more: Partial<Candidate> = {}): Candidate => ({
  ...{ uid: `uid-${at}`, namespace: at % 2 === 0 ? 'berlin' : 'paris', name: `cam-${at}`, labels: {}, hold: false, pin: '' },
  ...{ running: { app: { version: '2.3.0', digest: `sha256:${'0'.repeat(64)}`, securityCounter: 7 } }, createdAt: NOW - 1e9 },
  ...more,
});

export const fleetOf = (count: number): Candidate[] => Array.from({ length: count }, (_, at) => deviceOf(at));

export const NOBODY: Situation['asked'] = { pausedBy: undefined, abortedBy: undefined, rolledBackBy: undefined, approvals: [] };

export function situationOf(spec: FirmwareReleaseSpec, devices: readonly Candidate[], more: Partial<Situation> = {}): Situation {
  const plan: WavePlan = planWaves({ uid: UID, spec }, devices);
  return {
    ...{ uid: UID, generation: 1, spec, manifestDigest: MANIFEST, steps: [], plan, asked: NOBODY, canGoBack: true, now: NOW },
    inTheWay: () => undefined,
    ...{ openApprovers: undefined, lack: undefined, superseded: undefined },
    ...more,
  };
}

/** The waves that are wanted, as the API server would show them then. */
export function started(situation: Situation): WaveView[] {
  const wishes = wavesWanted({ namespace: 'hq', name: 'app-2-4-0' }, situation, decide(situation));
  if (!wishes.ok) throw new Error(wishes.problem.code);
  const before = new Map(situation.steps.flatMap(({ waves }) => waves).map((wave) => [wave.key, wave]));
  for (const { namespace, name, spec } of wishes.value) {
    const key = `${namespace}/${name}`;
    const old = before.get(key);
    const made = { ...{ key, namespace, name, uid: `wave-${key}`, resourceVersion: '1', createdAt: situation.now }, status: undefined };
    before.set(key, { ...(old ?? made), generation: (old?.generation ?? 0) + 1, spec });
  }
  return [...before.values()];
}

/** As its drivers would have written it. */
export function counted(wave: WaveView, counts: Partial<Counts>, more: { done?: boolean; endedAt?: number } = {}): WaveView {
  const { done = true, endedAt = done ? NOW : undefined } = more;
  const shards = Array.from({ length: wave.spec.shards }, (_, index) => ({
    ...{ index, phase: done ? ('Done' as const) : ('Running' as const), counts: index === 0 ? counts : {} },
  }));
  const end = endedAt === undefined ? {} : { endedAt: new Date(endedAt).toISOString() };
  return { ...wave, status: { observedGeneration: wave.generation, shards, counts: sumOf([counts]), ...end } };
}

export const stepsOf = (waves: readonly WaveView[]): Situation['steps'] => stepsSoFar(waves);

export const jobOf = (wave: WaveView, name: string, more: Partial<JobView> = {}): JobView => ({
  ...{ key: `hedgerow-system/${name}`, uid: name, resourceVersion: '1', namespace: 'hedgerow-system', name, generation: 1, createdAt: NOW },
  ...{ waveUid: wave.uid, wave: wave.key, isSuspended: false, ended: undefined },
  ...more,
});

export const releaseOf = (spec: FirmwareReleaseSpec, more: Partial<ReleaseView> = {}): ReleaseView => ({
  ...{ key: 'hq/app-2-4-0', uid: UID, resourceVersion: '1', namespace: 'hq', name: 'app-2-4-0', generation: 1, createdAt: NOW },
  ...{ spec, status: undefined, isGoing: false },
  ...more,
});
