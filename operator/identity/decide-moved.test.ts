import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide } from './decide.ts';
import { decideMoved } from './decide-moved.ts';
import { isGraver, isKeyRevoked, type LedgerEntry, type RevocationReason } from './ledger-entry.ts';
import { device, HOUR, input, iso, NOW, said } from './testing/scene.ts';

const moved = device({ segment: 'lab' });
const LAB = 'lab.berlin';
const OFFICE = 'office.berlin';
let made = 0;

function certificate(segment: string, change: Partial<LedgerEntry> & { ageHours?: number } = {}): LedgerEntry {
  const { ageHours = 1, ...rest } = change;
  const digit = (made++).toString(16).padStart(4, '0');
  const sha256 = digit.repeat(16);
  return {
    id: sha256.slice(0, 32),
    device: 'thermo-17.berlin',
    deviceUid: 'uid-17',
    segment,
    issuer: 'Issuer/berlin/site-ca',
    serial: digit,
    md5: digit.repeat(8),
    sha256,
    spki: sha256,
    notBefore: iso(NOW - ageHours * HOUR),
    notAfter: iso(NOW + 100 * HOUR),
    via: 'CSR',
    ...rest,
  };
}
const moving = (entries: LedgerEntry[], connectedWith: string | undefined) => decideMoved(input(moved, { entries, connectedWith }));

describe('certificates of a segment that the Device left', () => {
  const old = certificate(OFFICE, { ageHours: 50 });
  const fresh = certificate(LAB);
  const revoke = (...entries: LedgerEntry[]) => ({ do: 'revoke', ids: entries.map(({ id }) => id), reason: 'Moved' });

  it('stay while none of the new segment is in use: the device has nothing else', () => {
    expect(moving([old], old.md5)).toBeUndefined();
    expect(moving([old, fresh], old.md5)).toBeUndefined();
    expect(moving([old, fresh], undefined)).toBeUndefined();
  });

  it('are revoked, all of them, when the broker shows one of the new segment in use', () => {
    const older = certificate('doors.berlin', { ageHours: 70 });
    expect(moving([old, older, fresh], fresh.md5)).toEqual(revoke(old, older));
  });

  it('are revoked once', () => {
    const before: LedgerEntry = { ...old, revoked: { at: iso(NOW), reason: 'Moved', by: 'hedgerow' } };
    expect(moving([before, fresh], fresh.md5)).toBeUndefined();
  });

  it('an expired one that might still re-enrol goes with them', () => {
    const expired = certificate(OFFICE, { ageHours: 900, notAfter: iso(NOW - HOUR), keepUntil: iso(NOW + HOUR) });
    expect(moving([expired, fresh], fresh.md5)).toEqual(revoke(expired));
  });

  it('one that is younger than the one in use stays: the device may have thrown the older key away', () => {
    const younger = certificate(OFFICE, { ageHours: 0 });
    expect(moving([younger, fresh], fresh.md5)).toBeUndefined();
    expect(moving([younger, old, fresh], fresh.md5)).toEqual(revoke(old));
  });

  it('those of a namesake that is gone are none of its business, in use or not', () => {
    const namesake = certificate(LAB, { deviceUid: 'uid-before' });
    expect(moving([old, namesake], namesake.md5)).toBeUndefined();
    expect(moving([namesake, { ...fresh, deviceUid: 'uid-17' }], fresh.md5)).toBeUndefined();
  });

  it('a certificate that is revoked or expired is not in use, whatever the broker shows', () => {
    expect(moving([old, { ...fresh, revoked: { at: iso(NOW), reason: 'Revoked', by: 'alice' } }], fresh.md5)).toBeUndefined();
    expect(moving([old, { ...fresh, notAfter: iso(NOW - 1) }], fresh.md5)).toBeUndefined();
  });

  it('are revoked in quarantine too, and before anything else is looked at', () => {
    const facts = { entries: [old, fresh], connectedWith: fresh.md5, openApprovers: ['group:somebody'] };
    expect(decide(input(moved, { ...facts, lifecycle: 'Quarantined' }))).toEqual(revoke(old));
  });

  it('never the last certificate that the Device can connect with, never one of its segment', () => {
    const one = fc.record({
      segment: fc.constantFrom(LAB, OFFICE, 'doors.berlin'),
      ageHours: fc.integer({ min: 0, max: 50 }),
      over: fc.boolean(),
      revoked: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 8 }), fc.nat(), (list, pick) => {
        const entries = list.map(({ segment, ageHours, over, revoked }) =>
          certificate(segment, {
            ageHours,
            ...(over ? { notAfter: iso(NOW - 1) } : {}),
            ...(revoked ? { revoked: { at: iso(NOW), reason: 'Moved' as const, by: 'hedgerow' } } : {}),
          }),
        );
        const used = entries[pick % (entries.length + 1)];
        const decision = moving(entries, used?.md5);
        if (decision?.do !== 'revoke') return;
        const going = entries.filter(({ id }) => decision.ids.includes(id));
        expect(used?.segment).toBe(LAB);
        expect(going).not.toContain(used);
        for (const entry of going) {
          expect(entry.segment).not.toBe(LAB);
          expect(Date.parse(entry.notBefore)).toBeLessThanOrEqual(Date.parse(used?.notBefore ?? ''));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the key of a certificate that a move ended', () => {
  const ended = (reason: RevocationReason, uid = 'uid-17'): LedgerEntry[] => [
    certificate(OFFICE, { deviceUid: uid, revoked: { at: iso(NOW), reason, by: 'hedgerow' } }),
  ];

  it.each<[what: string, entries: LedgerEntry[], revoked: boolean]>([
    ['is good for the same Device', ended('Moved'), false],
    ['is not good for another one', ended('Moved', 'uid-18'), true],
    ['is lost when the certificate was revoked', ended('Revoked'), true],
    ['is lost when it was compromised', ended('Compromised'), true],
    ['is lost when any certificate of it was revoked', [...ended('Moved'), ...ended('Revoked')], true],
  ])('%s', (_what, entries, revoked) => expect(isKeyRevoked(entries, 'uid-17')).toBe(revoked));

  it('is lost when the Device is revoked later: its entry says so then', () => {
    const entries = ended('Moved');
    expect(decide(input(moved, { entries, lifecycle: 'Revoked' }))).toEqual({ do: 'revoke', ids: [entries[0]?.id], reason: 'Revoked' });
    expect(said(decide(input(moved, { entries: ended('Revoked'), lifecycle: 'Revoked' })))).toBe('done');
  });

  it.each<[RevocationReason, RevocationReason, boolean]>([
    ['Moved', 'Revoked', true],
    ['Moved', 'Compromised', true],
    ['Moved', 'Moved', false],
    ['Superseded', 'Compromised', true],
    ['Superseded', 'Moved', false],
    ['Revoked', 'Compromised', false],
    ['Compromised', 'Moved', false],
    ['Retired', 'Revoked', false],
  ])('what is %s and becomes %s is written anew: %s', (before, reason, anew) =>
    expect(isGraver(reason, { at: iso(NOW), reason: before, by: 'x' })).toBe(anew),
  );
});
