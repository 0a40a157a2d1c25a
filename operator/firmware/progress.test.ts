import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';
import type { Outcomes } from './gate.ts';
import { type Approval, type Next, nextOf, type ReleaseState, type Started } from './progress.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-26T12:00:00Z');
const DIGEST = `sha256:${'a'.repeat(64)}`;
type Rollout = FirmwareReleaseSpec['rollout'];

const rolloutOf = (more: Partial<Rollout> = {}): Rollout =>
  ({
    waves: [
      { name: 'lab', soak: '0s', approval: 'None' },
      { name: 'canary', soak: '24h', approval: 'Required' },
      { name: 'broad', soak: '2h', approval: 'None' },
    ],
    gates: { error: { ratio: '2%', minSample: 1, confidence: '95%' } },
    ...more,
  }) as Rollout;
const good = (count: number): Outcomes => ({ target: count, confirmed: count, failed: 0, rolledBack: 0, timedOut: 0, lost: 0 });
const ended = (wave: string, count = 200, more: Partial<Started> = {}): Started => ({
  wave,
  startedAt: NOW - 30 * HOUR,
  outcomes: good(count),
  busy: 0,
  waiting: 0,
  endedAt: NOW - 25 * HOUR,
  ...more,
});
const running = (wave: string, outcomes: Outcomes): Started =>
  ended(wave, 0, { outcomes, busy: 3, startedAt: NOW - HOUR, endedAt: undefined });
const approvalOf = (wave: string, more: Partial<Approval> = {}): Approval => ({ wave, digest: DIGEST, generation: 3, by: 'bob', ...more });
const stateOf = (more: Partial<ReleaseState> = {}): ReleaseState => ({
  spec: { rollout: rolloutOf() },
  generation: 3,
  digest: DIGEST,
  author: 'alice',
  steps: ['lab', 'canary', 'broad', 'broad'],
  started: [],
  approvals: [],
  isPaused: false,
  isAborted: false,
  isRolledBack: false,
  canGoBack: true,
  ...more,
});
const sick: Outcomes = { ...good(5), failed: 5 };

describe('a release', () => {
  it.each<[says: string, state: Partial<ReleaseState>, next: Partial<Next>]>([
    ['is verified before anything else', { digest: undefined }, { do: 'Verify' }],
    ['begins with its first step', {}, { do: 'Start', step: 0 }],
    ['offers while devices are on their way', { started: [running('lab', good(5))] }, { do: 'Offer' }],
    ['soaks after the last of them', { started: [ended('broad', 200, { endedAt: NOW - HOUR })] }, { do: 'Soak', until: NOW + HOUR }],
    [
      'asks before a wave that wants an approval',
      { started: [ended('lab')] },
      { do: 'Hold', why: 'Approval', reason: 'wave canary asks for an approval' },
    ],
    ['and goes on with it', { started: [ended('lab')], approvals: [approvalOf('canary')] }, { do: 'Start', step: 1 }],
    [
      'asks for each wave once, not for each of its parts',
      { started: [ended('lab'), ended('canary'), ended('broad')] },
      { do: 'Start', step: 3 },
    ],
    ['asks where the gate could not tell', { started: [ended('lab', 3)], approvals: [] }, { do: 'Hold', why: 'Approval' }],
    [
      'holds when a gate fails and the release says Pause',
      { started: [running('lab', sick)], spec: { rollout: rolloutOf(), rollback: { onGateFailure: 'Pause' } } },
      { do: 'Hold', why: 'Gate' },
    ],
    ['goes back by itself otherwise', { started: [running('lab', sick)] }, { do: 'Revert', which: 'RevertUnconfirmed' }],
    [
      'also for what a wave that soaked well did later',
      { started: [ended('lab', 0, { outcomes: sick }), running('canary', good(9))] },
      { do: 'Revert' },
    ],
    [
      'does not send back who could not boot the old image',
      { started: [running('lab', sick)], canGoBack: false, spec: { rollout: rolloutOf(), rollback: { onGateFailure: 'RevertAll' } } },
      { do: 'Hold', why: 'NoWayBack' },
    ],
    ['stops the others all the same', { started: [running('lab', sick)], canGoBack: false }, { do: 'Revert', which: 'RevertUnconfirmed' }],
    ['holds when it is paused', { isPaused: true, started: [running('lab', good(5))] }, { do: 'Hold', why: 'Paused' }],
    ['is stopped by its gate though it is paused', { isPaused: true, started: [running('lab', sick)] }, { do: 'Revert' }],
    ['goes back when it is aborted', { isAborted: true, started: [running('lab', good(5))] }, { do: 'Revert', which: 'RevertUnconfirmed' }],
    ['and does nothing where nothing was begun', { isAborted: true }, { do: 'Hold', why: 'Aborted' }],
    ['is complete after its last soak', { started: [ended('lab'), ended('canary'), ended('broad'), ended('broad')] }, { do: 'Complete' }],
    [
      'and soaks from then on',
      { started: [{ ...running('broad', good(200)), startedAt: NOW - 49 * HOUR }] },
      { do: 'Soak', until: NOW + HOUR },
    ],
    [
      'waits no longer for a wave that had its time',
      { started: [{ ...running('lab', good(200)), startedAt: NOW - 48 * HOUR }], approvals: [approvalOf('canary')] },
      { do: 'Start', step: 1 },
    ],
  ])('%s', (_, state, next) => expect(nextOf(stateOf(state), NOW)).toMatchObject(next));

  it.each<[says: string, approval: Approval]>([
    ['of the author', approvalOf('canary', { by: 'alice' })],
    ['of another wave', approvalOf('broad')],
    ['of other bytes', approvalOf('canary', { digest: `sha256:${'b'.repeat(64)}` })],
    ['of another text of the release', approvalOf('canary', { generation: 2 })],
  ])('is not let through by an approval %s', (_, approval) =>
    expect(nextOf(stateOf({ started: [ended('lab')], approvals: [approval] }), NOW)).toMatchObject({ do: 'Hold', why: 'Approval' }),
  );

  const outcomes = fc
    .record({ confirmed: fc.nat(400), failed: fc.nat(9), rolledBack: fc.nat(2), timedOut: fc.nat(2), lost: fc.nat(2) })
    .map((counts): Outcomes => ({ target: Object.values(counts).reduce((sum, one) => sum + one, 0), ...counts }));
  const started = fc.array(fc.record({ outcomes, hoursAgo: fc.integer({ min: 0, max: 60 }), isOver: fc.boolean() }), { maxLength: 4 });
  const states = fc
    .record({
      started,
      approvals: fc.array(
        fc.record({
          wave: fc.constantFrom('lab', 'canary', 'broad'),
          by: fc.constantFrom('alice', 'bob'),
          generation: fc.constantFrom(2, 3),
        }),
        { maxLength: 3 },
      ),
      isPaused: fc.boolean(),
      isAborted: fc.boolean(),
      canGoBack: fc.boolean(),
      isVerified: fc.boolean(),
    })
    .map(({ started: list, approvals, isVerified, ...rest }) =>
      stateOf({
        ...rest,
        digest: isVerified ? DIGEST : undefined,
        approvals: approvals.map((one) => ({ ...one, digest: DIGEST })),
        started: list.map(
          (one, at): Started => ({
            wave: ['lab', 'canary', 'broad', 'broad'][at] ?? '',
            outcomes: one.outcomes,
            startedAt: NOW - one.hoursAgo * HOUR,
            busy: one.isOver ? 0 : 1,
            waiting: 0,
            endedAt: one.isOver ? NOW - (one.hoursAgo * HOUR) / 2 : undefined,
          }),
        ),
      }),
    );

  it('starts a step only when it is verified, unpaused and wanted, and the step before has ended and soaked', () => {
    let starts = 0;
    fc.assert(
      fc.property(states, (state) => {
        const next = nextOf(state, NOW);
        if (next.do !== 'Start') return;
        starts++;
        expect([state.digest, state.isPaused, state.isAborted, next.step]).toEqual([DIGEST, false, false, state.started.length]);
        const before = state.started.at(-1);
        if (before === undefined) return;
        const soak = { lab: 0, canary: 24, broad: 2 }[before.wave] ?? 0;
        expect((before.endedAt ?? before.startedAt + 48 * HOUR) + soak * HOUR).toBeLessThanOrEqual(NOW);
        if (before.wave === 'lab') expect(state.approvals).toContainEqual(approvalOf('canary'));
      }),
      { numRuns: 2000 },
    );
    expect(starts).toBeGreaterThan(0);
  });

  it('never goes on by a failure more, and never by an approval less', () => {
    fc.assert(
      fc.property(states, fc.nat(3), fc.nat(2), (state, at, without) => {
        if (nextOf(state, NOW).do === 'Start') return;
        const worse = state.started.map((step, place) =>
          place === at
            ? { ...step, outcomes: { ...step.outcomes, failed: step.outcomes.failed + 1, target: step.outcomes.target + 1 } }
            : step,
        );
        expect(nextOf({ ...state, started: worse }, NOW).do).not.toBe('Start');
        expect(nextOf({ ...state, approvals: state.approvals.filter((_, place) => place !== without) }, NOW).do).not.toBe('Start');
      }),
      { numRuns: 1000 },
    );
  });
});
