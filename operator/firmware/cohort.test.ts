import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { candidateOf } from './candidate.ts';
import { type Cohort, isInStep, type Part, rankOf, rulesOf } from './cohort.ts';
import { type Candidate, planWaves, type WavePlan } from './waves.ts';

type Wave = Partial<FirmwareReleaseSpec['rollout']['waves'][number]> & { name: string };
type Release = { uid: string; spec: FirmwareReleaseSpec };

const DIGEST = `sha256:${'b'.repeat(64)}`;
const releaseOf = (waves: Wave[], more: Partial<FirmwareReleaseSpec> = {}): Release => ({
  uid: 'release-1',
  spec: {
    ...{ version: '2.4.0', component: 'app', securityCounter: 7, selector: {}, membership: 'Dynamic' },
    artifacts: [{ name: 'full', oci: `registry.example.com/fw/cam@sha256:${'a'.repeat(64)}`, format: 'raw', size: 1, digest: DIGEST }],
    rollout: { waves: waves.map((wave) => ({ soak: '0s', approval: 'None', ...wave })) },
    ...more,
  } as FirmwareReleaseSpec,
});
const device = (at: number, more: Partial<Candidate> = {}): Candidate => ({
  ...{ uid: `uid-${at}`, namespace: at % 2 === 0 ? 'berlin' : 'paris', name: `cam-${at}`, labels: {}, hold: false, pin: '', running: {} },
  ...more,
});
const fleetOf = (count: number, more: (at: number) => Partial<Candidate> = () => ({})): Candidate[] =>
  Array.from({ length: count }, (_, at) => device(at, more(at)));

const rules = (release: Release, plan: WavePlan, at: number): ReadonlyMap<string, Cohort> => {
  const result = rulesOf(release, plan, at);
  if (!result.ok) throw new Error(result.problem.code);
  return result.value;
};

describe('who is in a step', () => {
  const all: Cohort = { rankBelow: 1_000_000 };
  const record = { version: '2.4.0', digest: DIGEST, releaseUid: 'release-1' };
  it.each<[says: string, cohort: Cohort, candidate: Partial<Candidate>, part: Part, release: Partial<FirmwareReleaseSpec>, isIn: boolean]>([
    ['a device in the range', all, {}, {}, {}, true],
    ['none in an empty range', { rankBelow: 0 }, {}, {}, {}, false],
    ['one beyond the range that is named', { rankBelow: 0, also: ['cam-1'] }, {}, {}, {}, true],
    ['not one that the wave does not select', { ...all, selector: { matchLabels: { stage: 'lab' } } }, {}, {}, {}, false],
    ['not one that the release does not select', all, {}, {}, { selector: { matchLabels: { stage: 'lab' } } }, false],
    ['not one that is held', all, { hold: true }, {}, {}, false],
    ['not one that is revoked', all, { isRevoked: true }, {}, {}, false],
    ['one that became held with an open directive: it is still on its way', all, { hold: true }, { isOpen: true }, {}, true],
    ['not one that ended in an earlier step', all, {}, { releaseUid: 'release-1', step: 1 }, {}, false],
    ['nor in a later one', all, {}, { releaseUid: 'release-1', step: 3 }, {}, false],
    [
      'one that ended in this step, whatever it runs and whatever became of the range',
      { rankBelow: 0 },
      { hold: true, running: { app: record } },
      { releaseUid: 'release-1', step: 2 },
      {},
      true,
    ],
    ['one that ended in the step of another release', all, {}, { releaseUid: 'release-0', step: 1 }, {}, true],
    ['not one that ran the image before the release', all, { running: { app: { version: '2.4.0', digest: DIGEST } } }, {}, {}, false],
    ['who joined later, under Dynamic', all, { createdAt: 2000 }, {}, {}, true],
    ['not who joined later, under Snapshot', all, { createdAt: 2000 }, {}, { membership: 'Snapshot' }, false],
    ['who was there, under Snapshot', all, { createdAt: 1000 }, {}, { membership: 'Snapshot' }, true],
    ['not one without a boot key where its success has to be proven', all, {}, {}, { compatibility: { secureBoot: true } }, false],
    ['one with a boot key', all, { hasBootKey: true }, {}, { compatibility: { secureBoot: true } }, true],
  ])('%s', (_, cohort, candidate, part, spec, isIn) => {
    const release = { ...releaseOf([{ name: 'a' }], spec), firstStartedAt: 1000 };
    expect(isInStep(release, { step: 2, cohort }, device(1, candidate), part)).toBe(isIn);
  });
});

describe('the rule of a step', () => {
  it('ranks are the order of the plan, from 0 to 999,999', () => {
    const [step] = planWaves(releaseOf([{ name: 'a' }]), fleetOf(2000)).steps;
    const ranks = step?.devices.map(({ uid }) => rankOf('release-1', uid)) ?? [];
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    expect(Math.min(...ranks)).toBeLessThan(5000);
    expect(Math.max(...ranks)).toBeGreaterThan(995_000);
    expect(ranks.every((rank) => Number.isInteger(rank) && rank >= 0 && rank < 1_000_000)).toBe(true);
  });

  it('is made for the sites that have devices of the step and for no other', () => {
    const release = releaseOf([{ name: 'a', selector: { matchLabels: { stage: 'lab' } } }]);
    const plan = planWaves(
      release,
      fleetOf(10, (at) => ({ labels: { stage: at === 4 ? 'lab' : 'field' } })),
    );
    expect([...rules(release, plan, 0)]).toEqual([['berlin', { rankBelow: 1_000_000, selector: { matchLabels: { stage: 'lab' } } }]]);
  });

  it('a wave of a fixed size is closed where it ends, though there is nobody behind: who joins is no part of it', () => {
    const release = releaseOf([{ name: 'a', size: '50' }]);
    expect(rules(release, planWaves(release, fleetOf(8)), 0).get('berlin')?.rankBelow).toBeLessThan(1_000_000);
  });

  it('more devices of one site for spread than a rule can name are refused', () => {
    const release = releaseOf([{ name: 'a', size: '1', spread: ['hwRevision'] }, { name: 'b' }]);
    const plan = planWaves(
      release,
      fleetOf(200, (at) => ({ namespace: 'berlin', revision: String(at % 50) })),
    );
    const result = rulesOf(release, plan, 0);
    expect(result.ok ? 'made' : result.problem.code).toBe('HR-FW-028');
  });

  const wave = fc.record({
    selector: fc.option(fc.constantFrom({ matchLabels: { stage: 'lab' } }, { matchLabels: { stage: 'field' } }, {}), { nil: undefined }),
    size: fc.option(fc.oneof(fc.integer({ min: 1, max: 40 }).map(String), fc.constantFrom('0.01%', '1%', '7%', '33.33%', '100%')), {
      nil: undefined,
    }),
    growth: fc.option(fc.constantFrom({ start: '1%', factor: 2, max: '20%' }, { start: '40%', factor: 10, max: '10%' }), {
      nil: undefined,
    }),
    spread: fc.constantFrom<string[]>([], ['site'], ['stage', 'site'], ['hwRevision']),
  });
  const waves = fc
    .array(wave, { minLength: 1, maxLength: 5 })
    .map((list) =>
      list.map((one, at): Wave => ({ ...one, name: `w${at}`, ...(one.growth === undefined ? {} : { size: undefined }) }) as Wave),
    );
  const fleet = fc.tuple(fc.integer({ min: 0, max: 150 }), fc.nat(1_000_000)).map(([count, salt]) =>
    fleetOf(count, (at) => ({
      uid: `${salt}-${at}`,
      labels: { stage: at % 3 === 0 ? 'lab' : 'field' },
      revision: String(at % 7),
      hold: at % 11 === 5,
    })),
  );

  it('with the records of the steps before it has exactly the devices of the plan, but for those of equal rank at its end', () => {
    fc.assert(
      fc.property(waves, fleet, (list, devices) => {
        const release = releaseOf(list);
        const plan = planWaves(release, devices);
        const ended = new Map<string, number>();
        for (const [at, step] of plan.steps.entries()) {
          const sites = rules(release, plan, at);
          const members = devices.filter((one) => {
            const cohort = sites.get(one.namespace);
            const part = ended.has(one.uid) ? { releaseUid: release.uid, step: ended.get(one.uid) } : {};
            return cohort !== undefined && isInStep(release, { step: at, cohort }, one, part);
          });
          const planned = new Set(step.devices.map(({ uid }) => uid));
          const border = Math.max(...[...sites.values()].map(({ rankBelow }) => rankBelow)) - 1;
          const more = members.filter(({ uid }) => !planned.has(uid));
          expect(members.filter(({ uid }) => planned.has(uid)).length).toBe(planned.size);
          expect(more.every(({ uid }) => rankOf(release.uid, uid) === border)).toBe(true);
          for (const one of members) ended.set(one.uid, at);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('stays what it was while its devices come to an end: what they run then does not change the plan', () => {
    fc.assert(
      fc.property(waves, fleet, fc.nat(200), (list, devices, count) => {
        const release = releaseOf(list);
        const plan = planWaves(release, devices);
        const steps = new Map(plan.steps.flatMap((step, at) => step.devices.map((one) => [one.uid, at] as const)));
        const later = devices.map((one, at) => {
          const step = steps.get(one.uid);
          if (step === undefined || at > count) return one;
          return { ...one, running: { app: { version: '2.4.0', digest: DIGEST, releaseUid: release.uid, step } } };
        });
        const ids = ({ steps }: WavePlan): string[][] => steps.map((step) => step.devices.map(({ uid }) => uid));
        expect(ids(planWaves(release, later))).toEqual(ids(plan));
      }),
    );
  });
});

describe('a Device as a rollout sees it', () => {
  it('what its status says of firmware counts as far as it can be read', () => {
    const status = {
      firmware: {
        app: { version: '2.3.0', digest: DIGEST, securityCounter: 3, releaseUid: 'r', step: 1 },
        modem: { version: 'soon', digest: DIGEST },
        rootfs: 7,
      },
    };
    const seen = candidateOf({
      metadata: { name: 'cam', namespace: 'berlin', uid: 'u', creationTimestamp: '2026-11-26T08:00:00Z' },
      spec: { segment: 's', firmware: { hold: false, bootKey: 'PEM' } },
      status,
    } as unknown as Parameters<typeof candidateOf>[0]);
    expect(seen.running).toEqual({ app: status.firmware.app });
    expect([seen.uid, seen.hasBootKey, seen.isRevoked, seen.createdAt]).toEqual(['u', true, false, Date.parse('2026-11-26T08:00:00Z')]);
  });

  it.each<[string, object]>([
    ['by its manifest', { spec: { segment: 's', lifecycle: 'Revoked' } }],
    ['by an Intervention, as its status shows', { status: { conditions: [{ type: 'Revoked', status: 'True' }] } }],
    ['because it is being deleted', { metadata: { name: 'cam', deletionTimestamp: '2026-11-26T08:00:00Z' } }],
  ])('is out of rollouts: %s', (_, more) => {
    const object = { metadata: { name: 'cam' }, spec: { segment: 's' }, ...more };
    expect(candidateOf(object as Parameters<typeof candidateOf>[0]).isRevoked).toBe(true);
  });
});
