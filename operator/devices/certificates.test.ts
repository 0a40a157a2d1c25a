import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Condition } from '../api/meta.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import { COPIED, certificatesInUse, type Sight } from './certificates.ts';
import { toBan } from './incidents.ts';
import { rotationStatus } from './rotation.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const DAY = 86_400_000;
const iso = (ms: number): string => new Date(ms).toISOString();

/** Valid for 30 days from `age` days ago. */
function certificate(name: string, age: number, change: Partial<LedgerEntry> = {}): LedgerEntry {
  return {
    id: name,
    device: 'thermo-1.berlin',
    deviceUid: 'u1',
    segment: 'office.berlin',
    issuer: 'Issuer/berlin/devices',
    serial: `serial-${name}`,
    md5: `md5-${name}`,
    sha256: name,
    spki: `key-${name}`,
    notBefore: iso(NOW - age * DAY),
    notAfter: iso(NOW + (30 - age) * DAY),
    via: 'EST',
    ...change,
  };
}
const old = certificate('old', 21);
const fresh = certificate('new', 1);
const settled = certificate('new', 5);
const rotated = (name: string, age: number, rotateAge: number): LedgerEntry =>
  certificate(name, age, { afterRotation: iso(NOW - rotateAge * DAY) });
const revoked = (entry: LedgerEntry, by = 'alice'): LedgerEntry => ({ ...entry, revoked: { at: iso(NOW), reason: 'Compromised', by } });
const said: Condition = {
  type: 'SupersededCertificateUsed',
  status: 'True',
  reason: 'SupersededCertificateUsed',
  message: 'as before',
  lastTransitionTime: iso(NOW),
};
const sight = (entries: LedgerEntry[], inUse: string | undefined, before: Condition[] = []): Sight => ({
  entries,
  inUse,
  before,
  now: NOW,
});

describe('use of a superseded certificate', () => {
  it.each<[string, Sight, string | undefined]>([
    ['is none while there is only one', sight([old], 'md5-old'), undefined],
    ['is none while the newest is used', sight([old, settled], 'md5-new'), undefined],
    ['is none while the device has had the new one for a short time', sight([old, fresh], 'md5-old'), undefined],
    ['is told after a tenth of the new one’s lifetime', sight([old, settled], 'md5-old'), 'serial-old'],
    ['is still told while the device is away', sight([old, settled], undefined, [said]), 'as before'],
    ['is over when the device uses the newest', sight([old, settled], 'md5-new', [said]), undefined],
    ['is over when the old one is revoked', sight([revoked(old), settled], undefined, [said]), undefined],
    ['is over when the old one has expired', sight([certificate('old', 31), settled], undefined, [said]), undefined],
    ['is not told of a device that nobody has seen', sight([old, settled], undefined), undefined],
    ['is none of two that were made in one second', sight([settled, certificate('twin', 5)], 'md5-twin'), undefined],
    ['is told of two of one second when a Rotate lies between', sight([settled, rotated('again', 5, 5)], 'md5-new'), 'serial-new'],
  ])('%s', (_name, from, expected) => {
    const { superseded } = certificatesInUse(from);
    if (expected === undefined) expect(superseded).toBeUndefined();
    else expect(superseded).toMatchObject({ status: 'True', message: expect.stringContaining(expected) });
  });

  it('says when it will be told', () => {
    expect(certificatesInUse(sight([old, fresh], 'md5-old')).changesAt).toBe(NOW - DAY + 3 * DAY);
  });
});

describe('a copy that was banned', () => {
  it('is told until that certificate has expired', () => {
    const found = certificatesInUse(sight([revoked(old, COPIED), fresh], 'md5-new'));
    expect(found.copied).toMatchObject({ reason: 'CertificateCopied', message: expect.stringContaining('serial-old') });
    expect(found.changesAt).toBe(Date.parse(old.notAfter));
    expect(certificatesInUse(sight([revoked(certificate('old', 31), COPIED), fresh], 'md5-new')).copied).toBeUndefined();
  });
  it('is not told of one that somebody revoked', () => {
    expect(certificatesInUse(sight([revoked(old), fresh], 'md5-new')).copied).toBeUndefined();
  });
});

describe('what goes when two push each other off', () => {
  const oldest = certificate('oldest', 25);
  const copied = (...md5s: string[]) => ({ kind: 'copied' as const, client: 'thermo-1.berlin', md5s });
  const flapping = (...md5s: string[]) => ({ kind: 'flapping' as const, client: 'thermo-1.berlin', md5s });
  it.each<[string, Parameters<typeof toBan>[0], LedgerEntry[], LedgerEntry[]]>([
    ['is the older of the two', copied('md5-old', 'md5-new'), [old, fresh], [old]],
    ['is the older of those in use, not a third that is quiet', copied('md5-oldest', 'md5-old'), [oldest, old, fresh], [oldest]],
    ['is nothing when one of the two is not of this Device', copied('md5-other', 'md5-new'), [old, fresh], []],
    ['is nothing more when the older was revoked meanwhile', copied('md5-old', 'md5-new'), [revoked(old), fresh], []],
    ['is nothing of two that were made in one second', copied('md5-new', 'md5-twin'), [settled, certificate('twin', 5)], []],
    [
      'is the one before the Rotate of two that were made in one second',
      copied('md5-new', 'md5-again'),
      [rotated('again', 5, 5), settled],
      [settled],
    ],
    [
      'is the one before the later Rotate',
      copied('md5-again', 'md5-more'),
      [rotated('again', 5, 6), rotated('more', 5, 5)],
      [rotated('again', 5, 6)],
    ],
    ['by a flapping record is the one before the Rotate', flapping('md5-again'), [settled, rotated('again', 5, 5)], [settled]],
    ['by a flapping record is every one that is not the newest', flapping('md5-new'), [oldest, old, fresh], [oldest, old]],
    ['by a flapping record is nothing while the newest was not seen: it may be installed nowhere', flapping('md5-old'), [old, fresh], []],
    ['by a flapping record is nothing when there is only one', flapping('md5-new'), [fresh], []],
  ])('%s', (_name, incident, entries, expected) => expect(toBan(incident, entries, NOW)).toEqual(expected));

  it('is never the newest that is valid, and never all', () => {
    const entry = fc.record({ age: fc.integer({ min: 0, max: 40 }), dead: fc.boolean() });
    const entries = fc
      .array(entry, { maxLength: 5 })
      .map((list) => list.map(({ age, dead }, at) => (dead ? revoked(certificate(`c${at}`, age)) : certificate(`c${at}`, age))));
    const kind = fc.constantFrom('copied' as const, 'flapping' as const);
    fc.assert(
      fc.property(entries, fc.subarray(['md5-c0', 'md5-c1', 'md5-c2', 'md5-c3', 'md5-c4']), kind, (list, md5s, how) => {
        const banned = toBan({ kind: how, client: 'thermo-1.berlin', md5s }, list, NOW);
        const valid = list.filter((one) => one.revoked === undefined && Date.parse(one.notAfter) > NOW);
        expect(banned.every((one) => valid.some((other) => other.notBefore > one.notBefore))).toBe(true);
        expect(banned.length === 0 || banned.length < valid.length).toBe(true);
      }),
    );
  });
});

describe('how far a Rotate has come', () => {
  const at = iso(NOW - DAY);
  const asked = { at };
  const lost = { at, compromised: { at, by: 'x' } };
  const successor = (entry: LedgerEntry): LedgerEntry => ({ ...entry, afterRotation: at });
  const status = (rotation: Parameters<typeof rotationStatus>[0]['rotation'], entries: LedgerEntry[], bans: string[] = []) =>
    rotationStatus({ rotation, entries, banned: (md5) => bans.includes(md5), before: undefined, now: NOW });
  const steps = (...args: Parameters<typeof status>): string[] => (status(...args)?.steps ?? []).map(({ step }) => step);

  it.each<[string, string[], string[]]>([
    ['a routine one waits for a certificate that comes after it', steps(asked, [old]), []],
    ['a routine one is done with it', steps(asked, [old, successor(fresh)]), ['Certificate']],
    ['keys are not given up while one certificate is not revoked', steps(lost, [revoked(old), fresh]), []],
    ['then the ledger has it', steps(lost, [revoked(old), revoked(fresh)], ['md5-old']), ['Ledger']],
    ['then the broker', steps(lost, [revoked(old)], ['md5-old']), ['Ledger', 'Broker']],
    ['an expired one needs no ban', steps(lost, [revoked(certificate('gone', 31))]), ['Ledger', 'Broker']],
    ['and the successor is none of them', steps(lost, [revoked(old), successor(fresh)], ['md5-old']), ['Ledger', 'Broker', 'Certificate']],
  ])('%s', (_name, found, expected) => expect(found).toEqual(expected));

  it('is absent without one', () => expect(status(undefined, [old])).toBeUndefined());

  it('keeps the time of a step, and those of another Rotate are not its own', () => {
    const first = status(lost, [revoked(old)], ['md5-old']);
    const later = rotationStatus({ rotation: lost, entries: [revoked(old)], banned: () => false, before: first, now: NOW + 60_000 });
    expect(later).toEqual(first);
    const next = { at: iso(NOW), compromised: { at: iso(NOW), by: 'x' } };
    const other = rotationStatus({ rotation: next, entries: [successor(fresh)], banned: () => false, before: first, now: NOW + 60_000 });
    expect(other).toEqual({ requestedAt: next.at, compromisedAt: next.at });
  });
});
