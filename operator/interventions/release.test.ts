import { describe, expect, it } from 'vitest';
import type { FirmwareReleaseStatus } from '../api/firmware-release.ts';
import { appliedToRelease, askedOf, type ReleaseSight } from './release.ts';
import type { InterventionView } from './view.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const DIGEST = `sha256:${'c'.repeat(64)}`;
const view = (action: string, more: Partial<InterventionView> = {}): InterventionView => ({
  ...{ key: 'hq/i', uid: 'u', resourceVersion: '1', namespace: 'hq', name: 'i', generation: 1, action, requestedBy: 'bob', reason: 'r' },
  ...{ target: { kind: 'FirmwareRelease', name: 'app' }, createdAt: '2026-11-26T11:00:00Z', expires: undefined, compromised: false },
  ...{ approve: undefined, status: undefined },
  ...more,
});
const sight = (status: Partial<FirmwareReleaseStatus>, author: string | undefined = 'ci'): ReleaseSight => ({
  ...{ generation: 2, author, status: { artifact: { manifestDigest: DIGEST }, ...status } },
});
const approve = { wave: 'broad', digest: DIGEST, generation: 2 };

describe('an Intervention on a release is applied', () => {
  it.each<[says: string, view: InterventionView, sight: ReleaseSight | undefined, expected: [string, string]]>([
    ['not where there is no such release', view('Pause'), undefined, ['False', 'TargetNotFound']],
    ['a Pause, when it is paused', view('Pause'), sight({ phase: 'Paused' }), ['True', 'Paused']],
    ['not before', view('Pause'), sight({ phase: 'RollingOut' }), ['False', 'InProgress']],
    ['not when it has ended', view('Pause', { expires: '2026-11-26T11:59:59Z' }), sight({ phase: 'RollingOut' }), ['False', 'Expired']],
    ['an Abort, when the release has stopped', view('Abort'), sight({ phase: 'Failed' }), ['True', 'Failed']],
    ['not while devices are told', view('Abort'), sight({ phase: 'Aborting' }), ['False', 'InProgress']],
    ['a Rollback, when devices went back', view('Rollback'), sight({ phase: 'RolledBack' }), ['True', 'RolledBack']],
    [
      'not where there is no way back',
      view('Rollback'),
      sight({
        phase: 'Aborting',
        conditions: [{ type: 'Stalled', status: 'True', reason: 'NoWayBack', message: 'm', lastTransitionTime: '' }],
      }),
      ['False', 'NoWayBack'],
    ],
    ['an Approve, when its wave has begun', view('Approve', { approve }), sight({ waves: [{ name: 'broad' }] }), ['True', 'Approved']],
    ['not before it is due', view('Approve', { approve }), sight({ waves: [] }), ['False', 'InProgress']],
    ['never of the author', view('Approve', { approve, requestedBy: 'ci' }), sight({}), ['False', 'ApprovedByAuthor']],
    ['nor where nobody is the author', view('Approve', { approve }), { ...sight({}), author: undefined }, ['False', 'ApprovedByAuthor']],
    ['nor of other bytes', view('Approve', { approve: { ...approve, digest: 'sha256:0' } }), sight({}), ['False', 'ApprovalOfOther']],
    ['nor of an older text', view('Approve', { approve: { ...approve, generation: 1 } }), sight({}), ['False', 'ApprovalOfOther']],
  ])('%s', (_, intervention, release, expected) => {
    const { status, reason } = appliedToRelease(intervention, release, NOW);
    expect([status, reason]).toEqual(expected);
  });
});

it('what is asked of a release: the oldest of each that stands, and every approval', () => {
  const asked = askedOf(
    [
      view('Pause', { name: 'over', expires: '2026-11-26T11:59:59Z' }),
      view('Pause', { name: 'later', createdAt: '2026-11-26T11:30:00Z' }),
      view('Pause', { name: 'first' }),
      view('Approve', { approve }),
    ],
    NOW,
  );
  expect(asked).toEqual({
    ...{ pausedBy: 'Intervention first of bob', abortedBy: undefined, rolledBackBy: undefined },
    approvals: [{ ...approve, by: 'bob' }],
  });
});
