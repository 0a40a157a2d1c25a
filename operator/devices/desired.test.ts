import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../identity/identity.ts';
import { type BrokerDevice, desiredBroker, judgeConnection } from './desired.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const device: BrokerDevice = { name: 'thermo-1.berlin', uid: 'u1', segment: 'office.berlin', lifecycle: 'Active' };
const entry: LedgerEntry = {
  id: 'e1',
  device: 'thermo-1.berlin',
  deviceUid: 'u1',
  segment: 'office.berlin',
  issuer: 'Issuer/berlin/site-ca',
  serial: '01',
  md5: 'a'.repeat(32),
  sha256: 'b'.repeat(64),
  spki: 'c'.repeat(64),
  notBefore: '2026-11-01T00:00:00Z',
  notAfter: '2026-12-01T00:00:00Z',
  via: 'CSR',
};
const revoked: LedgerEntry = { ...entry, revoked: { at: '2026-11-24T11:00:00Z', reason: 'Revoked', by: 'alice' } };
const rights = [
  {
    segment: 'office.berlin',
    publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1 as const, retain: false }],
    subscribe: [{ topic: 'cmd/{segment}/{device}/#' }],
  },
];
const desired = (devices: BrokerDevice[], entries: LedgerEntry[]) => desiredBroker({ devices, entries, rights, now: NOW });

describe('what the broker should hold', () => {
  it('nothing about a device in good order: its rights come from its segment', () => {
    const { bans, overrides, segments } = desired([device], [entry]);
    expect([bans, overrides]).toEqual([[], []]);
    expect(segments).toBe(rights);
  });

  it('a revoked device is banned by name, and each of its certificates until it expires', () => {
    const { bans } = desired([{ ...device, lifecycle: 'Revoked' }], [revoked]);
    expect(bans.map((ban) => [ban.as, ban.who, ban.until])).toEqual([
      ['username', revoked.md5, revoked.notAfter],
      ['clientid', device.name, 'infinity'],
    ]);
  });

  it('the ban of a certificate outlives its Device and its namespace', () => {
    expect(desired([], [revoked]).bans).toHaveLength(1);
  });

  it('a certificate that has expired needs no ban any more', () => {
    expect(desired([], [{ ...revoked, notAfter: '2026-11-24T11:59:59Z' }]).bans).toEqual([]);
  });

  it('a quarantined device gets the quarantine record, also when it moved', () => {
    const { overrides } = desired([{ ...device, lifecycle: 'Quarantined', segment: 'lab.berlin' }], [entry]);
    expect(overrides.map((override) => override.kind)).toEqual(['quarantine']);
  });

  it('a device that moved has the new rights, and only those, while its certificate names the old segment', () => {
    const [override] = desired([{ ...device, segment: 'office.berlin' }], [{ ...entry, segment: 'lab.berlin' }]).overrides;
    expect(override?.kind).toBe('moved');
    expect(override?.rules).toEqual([
      { topic: 'dt/office.berlin/thermo-1.berlin/#', permission: 'allow', action: 'publish', qos: [0, 1], retain: false },
      { topic: 'cmd/office.berlin/thermo-1.berlin/#', permission: 'allow', action: 'subscribe' },
    ]);
  });

  it('a device that moved to a segment which does not exist has no rights', () => {
    expect(desired([{ ...device, segment: 'nowhere.berlin' }], [entry]).overrides).toEqual([
      { client: device.name, kind: 'moved', rules: [] },
    ]);
  });
});

describe('who is connected', () => {
  it.each([
    ['its own unrevoked certificate is ok', device.name, entry, device, 'ok'],
    ['a quarantined device may stay connected', device.name, entry, { ...device, lifecycle: 'Quarantined' as const }, 'ok'],
    ['a certificate nobody recorded is unknown', device.name, undefined, undefined, 'unknown'],
    ['the certificate of another device is unknown', 'other.berlin', entry, device, 'unknown'],
    ['a revoked certificate is revoked', device.name, revoked, device, 'revoked'],
    [
      'a device that is revoked now is revoked, before the ledger says so',
      device.name,
      entry,
      { ...device, lifecycle: 'Revoked' as const },
      'revoked',
    ],
    ['a certificate whose Device is gone is inactive', device.name, entry, undefined, 'inactive'],
    ['a certificate of an earlier Device of the same name is inactive', device.name, entry, { ...device, uid: 'u2' }, 'inactive'],
  ])('%s', (_name, client, one, living, expected) => {
    expect(judgeConnection(client, one, living)).toBe(expected);
  });
});
