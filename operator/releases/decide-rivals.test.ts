import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import { findCondition } from '../runtime/conditions.ts';
import { decide, type Situation } from './decide.ts';
import { jobsWanted } from './decide-jobs.ts';
import { type Rival, rivalOf, saidSuperseded, supersederOf } from './decide-rivals.ts';
import { jobName } from './job.ts';
import { releaseStatus, type Seen } from './release-status.ts';
import {
  counted,
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
} from './testing/rollout.ts';
import type { ReleaseView, WaveView } from './view.ts';

const WAVES = [{ name: 'canary', size: '10' }, { name: 'broad' }];
const FLEET = fleetOf(10);
const HERE: ReadonlySet<string> = new Set(['hq', 'berlin', 'paris']);

const conditionOf = (type: string, status: 'True' | 'False', reason: string) => ({
  ...{ type, status, reason, message: '', lastTransitionTime: '', observedGeneration: 1 },
});
const GOOD = [conditionOf('ArtifactVerified', 'True', 'Verified'), conditionOf('Approved', 'True', 'NothingToApprove')];
const waiting = (reason = 'Waiting', more: object[] = []): ReleaseView['status'] =>
  ({ phase: 'Waiting', conditions: [...GOOD, conditionOf('Progressing', 'False', reason), ...more] }) as never;

/** The newer one, which asks for the place of the other. */
function newer(spec: Partial<FirmwareReleaseSpec> = {}, more: Partial<ReleaseView> = {}, sites: Rival['sites'] = HERE): Rival {
  const release = releaseOf(specOf(WAVES, { version: '2.5.0', conflict: 'Supersede', ...spec }), {
    ...{ uid: 'release-2', name: 'newer', key: 'hq/newer', createdAt: NOW + 1000, status: waiting('Superseding'), ...more },
  });
  return { release, sites, hasBegun: false };
}

/** The one that is being rolled out. */
const running = (spec: Partial<FirmwareReleaseSpec> = {}, more: Partial<ReleaseView> = {}, sites: Rival['sites'] = HERE): Rival => ({
  ...{ release: releaseOf(specOf(WAVES, spec), { status: { phase: 'RollingOut' } as never, ...more }), sites, hasBegun: true },
});

const why = (own: Rival, others: Rival[]) => rivalOf(own.release, [own, ...others], FLEET, false)?.why;
const gives = (own: Rival, others: Rival[], devices = FLEET) => supersederOf(own.release, [own, ...others], devices) !== undefined;

describe('a release with conflict: Supersede', () => {
  it.each<[says: string, own: Rival, other: Rival, expected: [why: string | undefined, givesWay: boolean]]>([
    ['ends an older one of equal priority', newer(), running(), ['Superseding', true]],
    [
      'ends one of lower priority, though that is younger',
      newer({ priority: 600 }),
      running({}, { createdAt: NOW + 2000 }),
      ['Superseding', true],
    ],
    ['waits for one of higher priority', newer(), running({ priority: 600 }), ['Queued', false]],
    ['waits for a younger one of equal priority', newer(), running({}, { createdAt: NOW + 2000 }), ['Queued', false]],
    ['of one that was made in the same second the uid decides', newer({}, { createdAt: NOW }), running(), ['Superseding', true]],
    ['and so it does the other way round', newer({}, { createdAt: NOW, uid: 'release-0' }), running(), ['Queued', false]],
    ['ends no release of another component', newer({ component: 'modem' }), running(), [undefined, false]],
    ['ends none that has ended', newer(), running({}, { status: { phase: 'Completed' } as never }), [undefined, false]],
    ['ends none of another namespace', newer(), running({}, { namespace: 'rome' }), ['Queued', false]],
    ['nor one for the whole fleet', newer(), running({}, {}, 'all'), ['Queued', false]],
    ['unless it is for the whole fleet itself', newer({}, {}, 'all'), running({}, { namespace: 'rome' }), ['Superseding', true]],
    ['without it it waits', newer({ conflict: 'Queue' }, { status: waiting() }), running(), ['Queued', false]],
    ['one that has not begun only waits its turn', newer(), { ...running({}, { status: waiting() }), hasBegun: false }, [undefined, false]],
    ['one that wants the same and is older goes', newer(), running({ conflict: 'Supersede' }), ['Superseding', true]],
  ])('%s', (_, own, other, expected) => expect([why(own, [other]), gives(other, [own])]).toEqual(expected));

  it.each<[says: string, status: ReleaseView['status'], more: Partial<ReleaseView>]>([
    ['is verified and approved', undefined, {}],
    ['is not paused', { phase: 'Paused', conditions: [conditionOf('Progressing', 'False', 'Paused')] } as never, {}],
    ['waits for nothing else', waiting(), {}],
    ['says so of its present text', waiting('Superseding'), { generation: 2 }],
    ['is not being deleted', waiting('Superseding'), { isGoing: true }],
  ])('ends nothing before it %s', (_, status, more) => expect(gives(running(), [newer({}, { status, ...more })])).toBe(false));

  it('ends nothing where no device of the other can take it', () => {
    const devices = FLEET.map((one) => ({ ...one, running: { app: { version: '9.0.0', digest: 'x' } } }));
    expect([gives(running(), [newer()], devices), gives(running(), [newer({ selector: { matchLabels: { floor: '9' } } })])]).toEqual([
      false,
      false,
    ]);
  });

  it('ends none as long as it would have to wait for another all the same', () => {
    const stronger = running({ priority: 900 }, { uid: 'release-3', name: 'stronger' });
    expect(why(newer(), [running(), stronger])).toBe('Queued');
  });

  it('goes before an older one of equal priority that has not begun, which it would only end at once', () => {
    const older: Rival = { ...running({}, { status: waiting() }), hasBegun: false };
    expect([why(newer(), [older]), why(older, [newer()])]).toEqual([undefined, 'Queued']);
  });

  it('one that waits for what it requires keeps nobody waiting', () => {
    const lacks = newer({ priority: 900 }, { status: waiting('Waiting', [conditionOf('DependenciesMet', 'False', 'Required')]) });
    expect(why({ ...running(), hasBegun: false }, [lacks])).toBeUndefined();
  });

  it('of any two never both end each other, and never both wait for each other before they begin', () => {
    const some = fc.record({
      conflict: fc.constantFrom('Queue', 'Supersede', 'Reject'),
      priority: fc.integer({ min: 499, max: 501 }),
      at: fc.nat(1),
      isFleet: fc.boolean(),
    });
    fc.assert(
      fc.property(some, some, fc.boolean(), (first, second, begun) => {
        const [a, b] = [first, second].map(({ conflict, priority, at, isFleet }, index): Rival => {
          const own = { conflict, priority } as Partial<FirmwareReleaseSpec>;
          const rival = newer(own, { uid: `release-${index}`, name: `r${index}`, createdAt: NOW + at * 1000 }, isFleet ? 'all' : HERE);
          return { ...rival, hasBegun: begun };
        }) as [Rival, Rival];
        expect(gives(a, [b]) && gives(b, [a])).toBe(false);
        if (!begun) expect([why(a, [b]), why(b, [a])].filter((one) => one === undefined)).toHaveLength(1);
      }),
    );
  });
});

describe('a release that is superseded', () => {
  const spec = specOf(WAVES);
  const by = 'FirmwareRelease hq/newer takes its place';
  const before = situationOf(spec, fleetOf(100));
  const [first] = started(before).map((wave) => counted(wave, { inFlight: 3, confirmed: 2 }, { done: false })) as [WaveView];
  const at = (waves: WaveView[], more: Partial<Situation> = {}): Situation =>
    situationOf(spec, fleetOf(100), { steps: stepsOf(waves), superseded: { by, isFinal: true }, ...more });
  const seenOf = (situation: Situation, jobs: Seen['jobs'] = []): Seen => ({
    ...{ release: releaseOf(spec), situation, decision: decide(situation), jobs, trouble: undefined },
    belief: { verdict: { ok: true, manifestDigest: MANIFEST, signers: ['k'], rootVersion: 1, pinned: 'p', roots: new Map() }, at: NOW },
  });
  const stopped: WaveView = { ...first, spec: { ...first.spec, action: 'Stop' }, generation: 2 };

  it('stops its waves, then has ended, and stays so when the Job and the other release are gone', () => {
    const steps: [WaveView, Seen['jobs']][] = [
      [first, []],
      [stopped, []],
      [stopped, [jobOf(stopped, jobName(stopped), { ended: { how: 'Complete', message: '' } })]],
      [{ ...stopped, status: { ...stopped.status, phase: 'Aborted', observedGeneration: 2 } }, []],
    ];
    expect(decide(at([first])).actionOf(first)).toBe('Stop');
    expect(steps.map(([wave, jobs]) => releaseStatus(seenOf(at([wave]), jobs)).phase)).toEqual([
      'Aborting',
      'Aborting',
      'Superseded',
      'Superseded',
    ]);
  });

  it('is not begun again by a change of its manifest or by time: no wave is written, no Job is made', () => {
    const ended: WaveView = { ...stopped, status: { ...stopped.status, phase: 'Aborted', observedGeneration: 2 } };
    const later = at([ended], { generation: 7, now: NOW + 90 * 3600_000 });
    expect(started(later)).toEqual([ended]);
    expect(jobsWanted(later.steps, [], false)).toEqual({ make: [], change: [], remove: [] });
  });

  it('keeps what has ended: a settled wave is left alone', () => {
    const settled = counted(first, { confirmed: 5 });
    expect([decide(at([settled])).actionOf(settled), releaseStatus(seenOf(at([settled]))).phase]).toEqual(['Install', 'Superseded']);
  });

  it('says by which, and is at an end for who waits (kstatus)', () => {
    const { conditions } = releaseStatus(seenOf(at([counted(first, { confirmed: 5 })])));
    expect(saidSuperseded({ status: { conditions: conditions ?? [] } })).toBe(by);
    expect(findCondition(conditions, 'Ready')).toMatchObject({ status: 'False', reason: 'Superseded' });
    expect(findCondition(conditions, 'Stalled')?.message).toMatch(/^HR-FW-215: FirmwareRelease hq\/newer/);
    expect(findCondition(conditions, 'Reconciling')).toBeUndefined();
  });

  const wish = { superseded: { by, isFinal: false } };
  it.each<[says: string, situation: Situation, expected: boolean]>([
    ['while it offers', at([first], wish), true],
    ['while it is paused', at([first], { ...wish, asked: { ...NOBODY, pausedBy: 'bob' } }), true],
    ['not while it goes back already', at([first], { ...wish, asked: { ...NOBODY, rolledBackBy: 'bob' } }), false],
    ['not before its waves can be seen', at([], wish), false],
    ['but once said, whatever is asked later', at([first], { asked: { ...NOBODY, rolledBackBy: 'bob' } }), true],
    ['and though its waves are gone', at([]), true],
  ])('gives way: %s', (_, situation, expected) => expect(decide(situation).isSuperseded).toBe(expected));

  it('takes no place of another while somebody else may approve for the issuers of drivers: it could not begin', () => {
    const more = { inTheWay: () => ({ what: 'x', why: 'Superseding' as const }), openApprovers: 'somebody' };
    expect(decide(situationOf(spec, [deviceOf(1)], more)).next).toMatchObject({ do: 'Hold', why: 'ApproverOpen' });
  });

  it('the one that takes its place says so where the other reads it', () => {
    const situation = situationOf(spec, [deviceOf(1)], { inTheWay: () => ({ what: 'x', why: 'Superseding' }) });
    expect(findCondition(releaseStatus(seenOf(situation)).conditions, 'Progressing')).toMatchObject({
      status: 'False',
      reason: 'Superseding',
    });
  });
});
