import { describe, expect, it } from 'vitest';
import type { DeviceStatus } from '../api/device.ts';
import { type SummaryInput, summarise } from './summary.ts';

const NOW = '2026-11-24T12:00:00.000Z';
const LATER = '2026-11-24T12:00:09.000Z';

const healthy: SummaryInput = {
  generation: 3,
  status: undefined,
  effective: { lifecycle: 'Active' },
  identity: {
    outcome: { kind: 'done' },
    certified: { status: 'True', reason: 'Issued', message: 'valid until 2026-12-24' },
    certificate: 'PEM',
  },
  segmented: { status: 'True', reason: 'InSegment', message: 'office-sensors' },
  authorization: { state: 'ok', reason: 'Authorized', message: 'its segment is in force' },
  bannedAtBroker: false,
  now: NOW,
};

const shown = (status: DeviceStatus): Record<string, string> =>
  Object.fromEntries((status.conditions ?? []).map((condition) => [condition.type, `${condition.status} ${condition.reason}`]));

describe('the status of a Device', () => {
  const cases: Record<string, { input: Partial<SummaryInput>; expected: Record<string, string> }> = {
    'is Ready when certified, in its segment and authorized, and says nothing about what is not the case': {
      input: {},
      expected: { Certified: 'True Issued', Authorized: 'True Authorized', Segmented: 'True InSegment', Ready: 'True Ready' },
    },
    'is stalled with the reason of identity when only a change of the manifest helps': {
      input: {
        identity: {
          outcome: { kind: 'stalled', reason: 'WrongSubject', message: 'HR-ID-004' },
          certified: { status: 'False', reason: 'WrongSubject', message: 'HR-ID-004' },
        },
      },
      expected: {
        Certified: 'False WrongSubject',
        Authorized: 'True Authorized',
        Segmented: 'True InSegment',
        Ready: 'False WrongSubject',
        Stalled: 'True WrongSubject',
      },
    },
    'is reconciling while cert-manager works': {
      input: {
        identity: {
          outcome: { kind: 'waiting', afterMs: 1000, reason: 'Pending', message: 'asked cert-manager' },
          certified: { status: 'Unknown', reason: 'Pending', message: 'asked cert-manager' },
        },
      },
      expected: {
        Certified: 'Unknown Pending',
        Authorized: 'True Authorized',
        Segmented: 'True InSegment',
        Ready: 'Unknown Pending',
        Reconciling: 'True Pending',
      },
    },
    'is not Ready without its segment': {
      input: { segmented: { status: 'False', reason: 'SegmentNotFound', message: '' } },
      expected: {
        Certified: 'True Issued',
        Authorized: 'True Authorized',
        Segmented: 'False SegmentNotFound',
        Ready: 'False SegmentNotFound',
      },
    },
    'is Unknown while the broker cannot be reached, and everything else stays as it is': {
      input: { authorization: { state: 'unreachable', reason: 'BrokerUnreachable', message: '' } },
      expected: {
        Certified: 'True Issued',
        Authorized: 'Unknown BrokerUnreachable',
        Segmented: 'True InSegment',
        Ready: 'Unknown BrokerUnreachable',
        Reconciling: 'True BrokerUnreachable',
      },
    },
    'is not authorized at an unsafe broker': {
      input: { authorization: { state: 'unsafe', reason: 'BrokerUnsafe', message: 'plain listener on' } },
      expected: { Certified: 'True Issued', Authorized: 'False BrokerUnsafe', Segmented: 'True InSegment', Ready: 'False BrokerUnsafe' },
    },
    'is stalled at a broker with rules of others until they are adopted': {
      input: { authorization: { state: 'foreign', reason: 'ForeignAcl', message: '' } },
      expected: {
        Certified: 'True Issued',
        Authorized: 'False ForeignAcl',
        Segmented: 'True InSegment',
        Ready: 'False ForeignAcl',
        Stalled: 'True ForeignAcl',
      },
    },
    'is quarantined by an intervention although Git says Active': {
      input: { effective: { lifecycle: 'Quarantined', by: 'Intervention thermo-x', reason: 'beaconing' } },
      expected: {
        Certified: 'True Issued',
        Authorized: 'False Quarantined',
        Segmented: 'True InSegment',
        Quarantined: 'True Quarantined',
        Ready: 'False Quarantined',
      },
    },
    'is being revoked until the broker shows the ban': {
      input: { effective: { lifecycle: 'Revoked' }, authorization: { state: 'unreachable', reason: 'BrokerUnreachable', message: '' } },
      expected: {
        Certified: 'True Issued',
        Authorized: 'False Revoked',
        Segmented: 'True InSegment',
        Revoked: 'Unknown Revoking',
        Ready: 'False Revoked',
        Reconciling: 'True Revoking',
      },
    },
    'is revoked once the broker shows the ban': {
      input: { effective: { lifecycle: 'Revoked' }, bannedAtBroker: true },
      expected: {
        Certified: 'True Issued',
        Authorized: 'False Revoked',
        Segmented: 'True InSegment',
        Revoked: 'True Revoked',
        Ready: 'False Revoked',
      },
    },
  };
  it.each(Object.entries(cases))('%s', (_name, { input, expected }) => {
    expect(shown(summarise({ ...healthy, ...input }))).toEqual(expected);
  });

  it('does not change when nothing changed, whatever the clock says', () => {
    const first = summarise(healthy);
    expect(summarise({ ...healthy, status: first, now: LATER })).toEqual(first);
  });

  it('drops Stalled and Reconciling as soon as they are over', () => {
    const stalled = summarise({ ...healthy, identity: { ...healthy.identity, outcome: { kind: 'stalled', reason: 'X', message: '' } } });
    expect(shown(summarise({ ...healthy, status: stalled, now: LATER }))).not.toHaveProperty('Stalled');
  });

  it('keeps the time at which each revocation step was first seen', () => {
    const identity = { serialNumber: '01', fingerprint: 'ab' };
    const revoking = { ...healthy, effective: { lifecycle: 'Revoked' as const }, identity: { ...healthy.identity, identity } };
    const first = summarise(revoking);
    const second = summarise({ ...revoking, status: first, bannedAtBroker: true, now: LATER });
    expect(second.identity?.revocationSteps).toEqual([
      { step: 'Ledger', at: NOW },
      { step: 'Broker', at: LATER },
    ]);
  });
});
