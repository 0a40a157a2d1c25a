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
  moving: { condition: undefined, move: undefined },
  certificates: { superseded: undefined, copied: undefined },
  rotation: undefined,
  bannedAtBroker: false,
  overriddenAtBroker: false,
  listed: 'off',
  crl: undefined,
  limits: { is: 'within' },
  touch: undefined,
  bootKeyInvalid: undefined,
  now: NOW,
};

const revoked = {
  effective: { lifecycle: 'Revoked' as const },
  identity: { ...healthy.identity, identity: { serialNumber: '01', fingerprint: 'ab', revokedAt: NOW } },
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
    const second = summarise({ ...revoking, status: first, bannedAtBroker: true, overriddenAtBroker: true, now: LATER });
    expect(second.identity?.revocationSteps).toEqual([
      { step: 'Ledger', at: NOW },
      { step: 'Broker', at: LATER },
    ]);
  });

  it('waits with Revoked for a list that is on its way, and says so', () => {
    const banned = { ...healthy, ...revoked, bannedAtBroker: true };
    const first = summarise({ ...banned, listed: 'awaited' });
    expect(shown(first)).toMatchObject({ Revoked: 'Unknown Revoking', Reconciling: 'True Revoking' });
    const second = summarise({ ...banned, status: first, listed: 'listed', now: LATER });
    expect(shown(second)).toMatchObject({ Revoked: 'True Revoked' });
    expect(shown(second)).not.toHaveProperty('Reconciling');
    expect(second.identity?.revocationSteps?.map(({ step }) => step)).toEqual(['Ledger', 'Broker', 'Rights', 'Crl']);
  });

  it('does not wait with Revoked for a list that nobody makes, nor takes Revoked back when a list is late', () => {
    const banned = { ...healthy, ...revoked, bannedAtBroker: true };
    const without = summarise({ ...banned, listed: 'unlisted', crl: { reason: 'SecretForbidden', message: 'HR-CRL-003' } });
    expect(shown(without)).toMatchObject({ Revoked: 'True Revoked', CRLUnavailable: 'True SecretForbidden' });
    expect(without.conditions?.find(({ type }) => type === 'Revoked')?.message).toContain('no CRL names its certificate');
    expect(shown(summarise({ ...banned, status: without, listed: 'awaited' }))).toMatchObject({ Revoked: 'True Revoked' });
  });

  it('leaves what it said of lists as it is while a restarted operator has not looked yet', () => {
    const banned = { ...healthy, ...revoked, bannedAtBroker: true };
    const before = summarise({ ...banned, listed: 'listed', crl: { reason: 'NoDistributionPoint', message: 'HR-CRL-021' } });
    expect(summarise({ ...banned, status: before, listed: 'unknown', crl: 'unknown', now: LATER })).toEqual(before);
  });

  it('says once that a device is out of touch, keeps the words while it is, and takes them back when it is seen', () => {
    const out = summarise({ ...healthy, touch: { is: 'out', lastSeen: '2026-11-20T12:00:00.000Z' } });
    expect(shown(out)).toMatchObject({ Ready: 'True Ready', OutOfTouch: 'True OutOfTouch' });
    for (const touch of [
      { is: 'unknown', lastSeen: undefined },
      { is: 'absent', lastSeen: NOW },
      { is: 'out', lastSeen: NOW },
    ] as const)
      expect(summarise({ ...healthy, status: out, touch, now: LATER })).toEqual(out);
    for (const touch of [{ is: 'seen', lastSeen: undefined } as const, undefined])
      expect(shown(summarise({ ...healthy, status: out, touch, now: LATER }))).not.toHaveProperty('OutOfTouch');
    expect(shown(summarise({ ...healthy, touch: { is: 'absent', lastSeen: NOW } }))).not.toHaveProperty('OutOfTouch');
  });

  it('above a limit says so once, with the figures of the first time, and is Ready all the same', () => {
    const over = { is: 'over', reason: 'MessagesAboveLimit', message: 'sent at least 1500 messages' } as const;
    const status = summarise({ ...healthy, limits: over });
    expect(shown(status)).toMatchObject({ Ready: 'True Ready', LimitExceeded: 'True MessagesAboveLimit' });
    for (const limits of [over, { ...over, message: 'sent at least 9000 messages' }, { is: 'unknown' } as const])
      expect(summarise({ ...healthy, status, limits, now: LATER })).toEqual(status);
    const bytes = { is: 'over', reason: 'BytesAboveLimit', message: 'bytes' } as const;
    expect(shown(summarise({ ...healthy, status, limits: bytes, now: LATER }))).toMatchObject({ LimitExceeded: 'True BytesAboveLimit' });
    expect(shown(summarise({ ...healthy, status, limits: { is: 'within' } }))).not.toHaveProperty('LimitExceeded');
    expect(shown(summarise({ ...healthy, limits: { is: 'unknown' } }))).not.toHaveProperty('LimitExceeded');
  });

  it('leaves its firmware record as it stands, and says whether the last release runs; nothing of Ready', () => {
    const app = { version: '2.0.0', digest: `sha256:${'0'.repeat(64)}`, release: 'berlin/pump-2', result: 'Confirmed' } as const;
    const status = summarise({ ...healthy, status: { firmware: { app } } });
    expect(status.firmware).toEqual({ app });
    expect(shown(status)).toMatchObject({ Ready: 'True Ready', FirmwareCurrent: 'True Confirmed' });
    const back = { app: { ...app, version: '1.0.0', result: 'RolledBack' as const } };
    const after = summarise({ ...healthy, status: { ...status, firmware: back }, now: LATER });
    expect(after.firmware).toEqual(back);
    expect(shown(after)).toMatchObject({ Ready: 'True Ready', FirmwareCurrent: 'False RolledBack' });
    expect(summarise(healthy)).not.toHaveProperty('firmware');
    expect(shown(summarise(healthy))).not.toHaveProperty('FirmwareCurrent');
  });

  it('says of a boot key that cannot be used why, until it can', () => {
    const status = summarise({ ...healthy, bootKeyInvalid: 'HR-FW-031 KeyUnsupported: x' });
    expect(shown(status)).toMatchObject({ Ready: 'True Ready', BootKeyInvalid: 'True BootKeyInvalid' });
    expect(shown(summarise({ ...healthy, status }))).not.toHaveProperty('BootKeyInvalid');
  });

  it('is Ready without a list: rights and bans do without one', () => {
    const status = summarise({ ...healthy, crl: { reason: 'SecretForbidden', message: 'HR-CRL-003' } });
    expect(shown(status)).toMatchObject({ Ready: 'True Ready', CRLUnavailable: 'True SecretForbidden' });
    expect(shown(summarise({ ...healthy, status, crl: undefined }))).not.toHaveProperty('CRLUnavailable');
  });
});
