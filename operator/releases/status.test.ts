import { describe, expect, it } from 'vitest';
import { planWaves } from '../firmware/firmware.ts';
import { findCondition } from '../runtime/conditions.ts';
import { decide, type Situation } from './decide.ts';
import { failureOf, isBack, jobsWanted } from './decide-jobs.ts';
import { rivalOf } from './decide-rivals.ts';
import { differenceOf } from './decide-trust.ts';
import { jobFor, jobName } from './job.ts';
import { newsOf } from './news.ts';
import { releaseStatus, type Seen } from './release-status.ts';
import {
  counted,
  DIGEST,
  deviceOf,
  fleetOf,
  jobOf,
  MANIFEST,
  NOBODY,
  NOW,
  releaseOf,
  situationOf,
  specOf,
  started,
  stepsOf,
  UID,
} from './testing/rollout.ts';
import type { JobView, ReleaseView, WaveView } from './view.ts';
import { waveStatus } from './wave-status.ts';

const OPEN = { openApprovers: 'alice may approve requests to Issuer/hedgerow-system/directives' };
const OPEN_FROM_THE_START = ['Waiting', 'False', undefined, 'True'];
const WAVES = [{ name: 'canary', size: '10' }, { name: 'broad' }];
const VERIFIED: Seen['belief'] = {
  verdict: { ok: true, manifestDigest: MANIFEST, signers: ['k1', 'k2'], rootVersion: 3, pinned: 'p', roots: new Map() },
  at: NOW,
};
const seenOf = (situation: Situation, more: Partial<Seen> = {}): Seen => ({
  ...{ release: releaseOf(situation.spec), situation, decision: decide(situation), belief: VERIFIED, jobs: [], trouble: undefined },
  ...more,
});
const says = (seen: Seen): (string | undefined)[] => {
  const { phase, conditions } = releaseStatus(seen);
  return [phase, ...['Ready', 'Reconciling', 'Stalled'].map((type) => findCondition(conditions, type)?.status)];
};

function withWaves(counts: object, more: Partial<Situation> = {}, done = true, rollout: object = {}): Situation {
  const spec = specOf(WAVES, {}, rollout);
  const waves = started(situationOf(spec, fleetOf(100))).map((wave) => counted(wave, counts, { done }));
  return situationOf(spec, fleetOf(100), { steps: stepsOf(waves), ...more });
}

describe('the status of a release', () => {
  const aborted = { asked: { ...NOBODY, abortedBy: 'bob' } };
  const untrusted: Seen['belief'] = { verdict: { ok: false, about: 'Root', reason: 'RootExpired', message: 'HR-FW-012' }, at: NOW };
  it.each<[says: string, seen: Seen, expected: (string | undefined)[]]>([
    ['in progress while it rolls out (kstatus)', seenOf(withWaves({ inFlight: 1 }, {}, false)), ['RollingOut', 'False', 'True', undefined]],
    [
      'stuck where its trust is not good',
      seenOf(situationOf(specOf(WAVES), fleetOf(9), { manifestDigest: undefined }), { belief: untrusted }),
      ['Verifying', 'False', undefined, 'True'],
    ],
    [
      'paused, where trust ends while it rolls out',
      seenOf(withWaves({ inFlight: 1 }, { manifestDigest: undefined }, false), { belief: untrusted }),
      ['Paused', 'False', undefined, 'True'],
    ],
    ['stuck where no device takes it', seenOf(situationOf(specOf(WAVES), [])), ['Waiting', 'False', undefined, 'True']],
    [
      'waiting for another release is in progress',
      seenOf(situationOf(specOf(WAVES), fleetOf(9), { inTheWay: () => ({ what: 'x', why: 'Queued' }) })),
      ['Waiting', 'False', 'True', undefined],
    ],
    [
      'with conflict Reject it is stuck',
      seenOf(situationOf(specOf(WAVES), fleetOf(9), { inTheWay: () => ({ what: 'x', why: 'Rejected' }) })),
      ['Waiting', 'False', undefined, 'True'],
    ],
    [
      'aborting until who is on the way has stopped',
      seenOf(withWaves({ inFlight: 1 }, aborted, false)),
      ['Aborting', 'False', 'True', undefined],
    ],
    ['failed where an abort had nothing to stop', seenOf(withWaves({ confirmed: 5 }, aborted)), ['Failed', 'False', undefined, 'True']],
    [
      'stuck by a gate that failed',
      seenOf(withWaves({ failed: 5 }, {}, true, { gates: { error: { ratio: '2%', minSample: 5, confidence: '95%' } } })),
      ['Failed', 'False', undefined, 'True'],
    ],
    ['stuck while somebody else may approve for drivers', seenOf(situationOf(specOf(WAVES), fleetOf(9), OPEN)), OPEN_FROM_THE_START],
    ['and paused where it has begun', seenOf(withWaves({ inFlight: 1 }, OPEN, false)), ['Paused', 'False', undefined, 'True']],
    ['completed all the same when every device is done', seenOf({ ...allDone(), ...OPEN }), ['Completed', 'True', undefined, undefined]],
    [
      'aborting all the same, which is no standstill',
      seenOf(withWaves({ inFlight: 1 }, { ...aborted, ...OPEN }, false)),
      ['Aborting', 'False', 'True', undefined],
    ],
    ['completed when every device is done', seenOf(allDone()), ['Completed', 'True', undefined, undefined]],
  ])('%s', (_, seen, expected) => expect(says(seen)).toEqual(expected));

  it('says by code who may approve for drivers and what to do, before anything else that is wrong', () => {
    const trouble = { reason: 'DriverFailed', message: 'HR-FW-207: x' };
    const { conditions } = releaseStatus(seenOf(withWaves({ inFlight: 1 }, OPEN, false), { trouble }));
    for (const [type, status] of [
      ['Stalled', 'True'],
      ['Ready', 'False'],
    ] as const) {
      const said = findCondition(conditions, type);
      expect(said).toMatchObject({ status, reason: 'ApproverOpen' });
      expect(said?.message).toMatch(/^HR-FW-211: alice may approve .*--accept-approver/);
    }
  });

  function allDone(): Situation {
    const spec = specOf([{ name: 'all' }]);
    const waves = started(situationOf(spec, fleetOf(10))).map((wave) => counted(wave, { confirmed: 5, reached: 5 }));
    const devices = fleetOf(10).map((one) => ({
      ...one,
      running: { app: { version: '2.4.0', digest: DIGEST, releaseUid: UID, step: 0 } },
    }));
    return situationOf(spec, devices, { steps: stepsOf(waves) });
  }

  it('gives the exact bounds of the failure ratio, of who came to an end', () => {
    const { failureEstimate } = releaseStatus(seenOf(withWaves({ confirmed: 9, failed: 1, inFlight: 7 }, {}, false)));
    // 2 of 20 (Clopper-Pearson, one-sided 95 %): 1.81 % to 28.3 %.
    expect(failureEstimate).toEqual({ point: '10%', lower95: '1.81%', upper95: '28.3%' });
  });

  it('stays under 8 KiB with 100,000 devices at 200 sites, 16 waves and more failures than it can name', { timeout: 120_000 }, () => {
    const names = Array.from({ length: 16 }, (_, at) => ({
      name: `wave-${at}-${'x'.repeat(45)}`,
      ...(at < 15 ? { size: '5%' } : {}),
      soak: '1h',
    }));
    const spec = specOf(names, {}, { gates: { success: { ratio: '98%', of: 'Reached', minSample: 100, confidence: '95%' } } });
    const devices = Array.from({ length: 100_000 }, (_, at) => deviceOf(at, { namespace: `site-${at % 200}` }));
    const counts = { matched: 33_000, confirmed: 33_000, failed: 100, rolledBack: 10, timedOut: 1, reached: 33_111, unproven: 33_000 };
    const sample = { device: 'd'.repeat(62), code: '10', time: '2026-11-26T12:00:00Z' };
    const [one] = started(situationOf(spec, devices.slice(0, 2000))) as [WaveView];
    const waves = names.flatMap(({ name }, step) =>
      Array.from({ length: 200 }, (_, site): WaveView => {
        const wave = counted(
          { ...one, key: `site-${site}/${step}`, namespace: `site-${site}`, spec: { ...one.spec, wave: name, step } },
          counts,
        );
        const shards = wave.status?.shards?.map((shard) => ({ ...shard, failureSamples: Array.from({ length: 20 }, () => sample) })) ?? [];
        return { ...wave, status: { ...wave.status, shards } };
      }),
    );
    const situation = { ...situationOf(spec, devices, { steps: stepsOf(waves) }), plan: planWaves({ uid: UID, spec }, devices) };
    const status = releaseStatus(seenOf(situation));
    expect(status.waves).toHaveLength(16);
    expect(status.failureSamples?.length).toBeGreaterThan(0);
    expect(Buffer.byteLength(JSON.stringify(status))).toBeLessThan(8192);
  });

  it('tells each change of its phase once, and what stalls it', () => {
    const rolling = releaseStatus(seenOf(withWaves({ inFlight: 1 }, {}, false)));
    expect(newsOf(undefined, rolling).map(({ reason }) => reason)).toEqual(['RollingOut']);
    expect(newsOf(rolling, rolling)).toEqual([]);
    const paused = releaseStatus(seenOf(withWaves({ inFlight: 1 }, { manifestDigest: undefined }, false), { belief: untrusted }));
    expect(newsOf(rolling, paused).map(({ reason, type }) => [reason, type])).toEqual([
      ['RootExpired', 'Warning'],
      ['Paused', 'Normal'],
    ]);
  });
});

describe('Jobs', () => {
  const [wave] = started(situationOf(specOf(WAVES), fleetOf(100))) as [WaveView];
  const wanted = (view: WaveView, jobs: JobView[]) => {
    const { make, change, remove } = jobsWanted(stepsOf([view]), jobs, false);
    return { make: make.length, change: change.map(({ suspend }) => suspend), remove: remove.map(({ name }) => name) };
  };
  const own = (more: Partial<JobView> = {}): JobView => jobOf(wave, jobName(wave), more);
  const suspended: WaveView = { ...wave, spec: { ...wave.spec, suspend: true } };
  const stopped: WaveView = { ...wave, spec: { ...wave.spec, action: 'Stop' } };
  it.each<[says: string, wave: WaveView, jobs: JobView[], expected: object]>([
    ['a wave at work gets one', wave, [], { make: 1, change: [], remove: [] }],
    ['and no second one', wave, [own()], { make: 0, change: [], remove: [] }],
    ['which is suspended with it', suspended, [own()], { make: 0, change: [true], remove: [] }],
    [
      'one that has failed for good is not made again',
      wave,
      [own({ ended: { how: 'Failed', message: '' } })],
      { make: 0, change: [], remove: [] },
    ],
    ['a wave that is done wants none', counted(wave, {}), [own()], { make: 0, change: [], remove: [jobName(wave)] }],
    [
      'its ended one stays for the logs',
      counted(wave, {}),
      [own({ ended: { how: 'Complete', message: '' } })],
      { make: 0, change: [], remove: [] },
    ],
    ['another action is another Job', stopped, [own()], { make: 1, change: [], remove: [jobName(wave)] }],
    [
      'that is not made again when it is complete',
      stopped,
      [jobOf(wave, jobName(stopped), { ended: { how: 'Complete', message: '' } })],
      { make: 0, change: [], remove: [] },
    ],
    [
      'nor when its time is over and the wave remembers it',
      { ...stopped, status: { phase: 'Aborted', observedGeneration: stopped.generation } },
      [],
      { make: 0, change: [], remove: [] },
    ],
  ])('%s', (_, view, jobs, expected) => expect(wanted(view, jobs)).toEqual(expected));

  it.each([
    ['exit code 65', 'HR-FW-205'],
    ['exit code 66', 'HR-FW-206'],
    ['BackoffLimitExceeded', 'HR-FW-207'],
  ])('one that failed with %s says %s', (message, code) => {
    const job = own({ ended: { how: 'Failed', message: `Container rollout failed with ${message} matching FailJob rule` } });
    expect(failureOf(stepsOf([wave]), [job])?.code).toBe(code);
  });

  it('runs as restricted as Pod Security has it, and fails at once where no further try can help', () => {
    const job = jobFor(wave, SETTINGS, 'hedgerow-system') as { spec: Record<string, unknown> };
    expect(job.spec).toMatchObject({
      ...{ backoffLimit: 6, podReplacementPolicy: 'Failed', suspend: false, ttlSecondsAfterFinished: 86_400 },
      podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { values: [65, 66] } }, { action: 'Ignore' }] },
      template: {
        spec: {
          ...{ serviceAccountName: 'hedgerow-rollout', restartPolicy: 'Never', securityContext: { runAsNonRoot: true } },
          containers: [
            { securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } } },
          ],
          volumes: [{ name: 'broker-ca', configMap: { name: 'ca' } }],
        },
      },
    });
    expect(job.spec.completionMode).toBeUndefined();
    const many = jobFor({ ...wave, spec: { ...wave.spec, shards: 3 } }, SETTINGS, 'hedgerow-system') as { spec: object };
    expect(many.spec).toMatchObject({ completionMode: 'Indexed', completions: 3, parallelism: 3 });
  });

  it('a wave that was stopped is over when its Job is complete, and remembers it', () => {
    const jobs = [jobOf(wave, jobName(stopped), { ended: { how: 'Complete', message: '' } })];
    expect([isBack(stopped, []), isBack(stopped, jobs)]).toEqual([false, true]);
    const situation = { steps: stepsOf([stopped]), now: NOW };
    expect([waveStatus(stopped, { situation, jobs: [] }, false).phase, waveStatus(stopped, { situation, jobs }, false).phase]).toEqual([
      'Running',
      'Aborted',
    ]);
  });

  const SETTINGS = {
    ...{ roots: ['a'.repeat(64)], image: 'hedgerow:1', pullSecrets: [], account: 'hedgerow-rollout', brokerMqtt: 'broker:8883' },
    brokerCa: { kind: 'ConfigMap' as const, name: 'ca', key: 'ca.crt' },
    ...{ mqttIssuer: 'Issuer/a', directiveIssuer: 'Issuer/b', artifactsUrl: 'https://x', metricsPort: 8080, logLevel: 'info' },
  };
});

describe('another release of the component', () => {
  const own = releaseOf(specOf(WAVES));
  const verified = {
    conditions: ['ArtifactVerified', 'Approved'].map((type) => ({
      type,
      status: 'True',
      reason: 'x',
      message: '',
      lastTransitionTime: '',
    })),
  };
  const other = (more: Partial<ReleaseView> = {}, spec: object = {}): ReleaseView =>
    releaseOf(
      { ...specOf(WAVES), ...spec },
      { uid: 'release-0', name: 'other', createdAt: NOW - 1000, status: { ...verified, phase: 'Waiting' } as never, ...more },
    );
  const found = (release: ReleaseView, hasBegun: boolean, joining = false, sites: ReadonlySet<string> | 'all' = 'all') =>
    rivalOf(own, [{ release, hasBegun, sites }], fleetOf(4), joining) !== undefined;
  it.each<[says: string, isInTheWay: boolean, expected: boolean]>([
    ['that has begun is in the way', found(other(), true), true],
    ['that has begun and ended is not', found(other({ status: { phase: 'Completed' } as never }), true), false],
    ['of another component is not', found(other({}, { component: 'modem' }), true), false],
    ['for other devices is not', found(other({}, { selector: { matchLabels: { floor: '9' } } }), true), false],
    ['at other sites is not', found(other(), true, false, new Set(['rome'])), false],
    ['that is older goes first', found(other(), false), true],
    ['that is younger does not', found(other({ createdAt: NOW + 1000 }), false), false],
    ['that is younger and has a higher priority does', found(other({ createdAt: NOW + 1000 }, { priority: 900 }), false), true],
    ['that is not verified keeps nobody waiting', found(other({ status: { phase: 'Verifying' } as never }), false), false],
    [
      'that came later has the devices that join',
      found(other({ createdAt: NOW + 1000, status: { phase: 'Completed' } as never }), true, true),
      true,
    ],
    ['that came before has not', found(other({ status: { phase: 'Completed' } as never }), true, true), false],
  ])('%s', (_, isInTheWay, expected) => expect(isInTheWay).toBe(expected));
});

describe('a manifest beside what was signed', () => {
  const spec = specOf(WAVES);
  const statement = {
    ...{ component: 'app', version: '2.4.0', securityCounter: 7 },
    artifacts: [{ name: 'full', format: 'raw' as const, size: 1, sha256: 'b'.repeat(64) }],
  };
  const [artifact] = spec.artifacts as [(typeof spec.artifacts)[number]];
  it('that says the same is not different, in whatever order lists of hardware stand', () => {
    const models = { ...spec, artifacts: [{ ...artifact, hardware: { models: ['b', 'a'], revisions: [] } }] };
    expect(differenceOf(spec, statement)).toBeUndefined();
    expect(
      differenceOf(models, { ...statement, artifacts: [{ ...statement.artifacts[0], hardware: { models: ['a', 'b'] } }] as never }),
    ).toBeUndefined();
  });
  it.each<[says: string, change: object]>([
    ['spec.component', { component: 'modem' }],
    ['spec.version', { version: '2.4.1' }],
    ['spec.securityCounter', { securityCounter: 8 }],
    ['spec.compatibility.minVersionFloor', { compatibility: { minVersionFloor: '2.0.0' } }],
    ['spec.artifacts[full].digest', { artifacts: [{ ...artifact, digest: `sha256:${'a'.repeat(64)}` }] }],
    ['spec.artifacts[full].size', { artifacts: [{ ...artifact, size: 2 }] }],
    ['spec.artifacts[full].format', { artifacts: [{ ...artifact, format: 'suit' }] }],
    ['spec.artifacts[full].baseDigest', { artifacts: [{ ...artifact, baseDigest: DIGEST }] }],
    ['spec.artifacts[full].hardware', { artifacts: [{ ...artifact, hardware: { models: ['cam-3'] } }] }],
    ['spec.artifacts[more] is not in the statement', { artifacts: [artifact, { ...artifact, name: 'more' }] }],
    ['artifact full of the statement is not in spec.artifacts', { artifacts: [] }],
  ])('is found out: %s', (named, change) => expect(differenceOf({ ...spec, ...change }, statement)).toContain(named));
});
