import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { CertificateFacts, EstDevice, LedgerEntry } from '../identity/identity.ts';
import { judgeFactoryCertificate, judgeOwnCertificate, type OwnCertificate } from './authenticate.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const HOUR = 3_600_000;
const NOW = Date.parse('2026-03-01T00:00:00Z');
const iso = (ms: number): string => new Date(ms).toISOString();

const DEVICE = {
  name: 'thermo-1',
  namespace: 'berlin',
  uid: 'u1',
  revoked: false,
  offlineBudgetMs: 72 * HOUR,
  serial: 'A1',
  bootstrap: 'Manufacturer',
} as EstDevice;
const FACTS: CertificateFacts = {
  serial: '01',
  md5: 'm',
  sha256: 's',
  spki: 'k',
  notBefore: iso(NOW - HOUR),
  notAfter: iso(NOW + HOUR),
  subject: 'O=hedgerow\nOU=office.berlin\nCN=thermo-1.berlin',
  isCa: false,
  dictatedUsages: true,
};
const ENTRY = { sha256: 's', spki: 'k', deviceUid: 'u1', device: 'thermo-1.berlin', segment: 'office.berlin', serial: '01' } as LedgerEntry;
const GOOD: OwnCertificate = { now: NOW, facts: FACTS, signedByOurs: true, entry: ENTRY, device: DEVICE };
const revoked = { at: iso(NOW), reason: 'Revoked' as const, by: 'alice' };

describe('the certificate of a device', () => {
  it.each<[string, Partial<OwnCertificate>, string | undefined]>([
    ['that is current', {}, undefined],
    ['that is superseded', { entry: { ...ENTRY } }, undefined],
    ['of a foreign CA, whatever its name', { signedByOurs: false }, 'HR-EST-010'],
    ['of a foreign CA that has expired', { signedByOurs: false, facts: { ...FACTS, notAfter: iso(NOW - 1) } }, 'HR-EST-010'],
    ['that the ledger does not know', { entry: undefined }, 'HR-EST-011'],
    ['whose entry is of another certificate', { entry: { ...ENTRY, sha256: 'x' } }, 'HR-EST-011'],
    ['whose Device is gone', { device: undefined }, 'HR-EST-011'],
    ['whose Device was replaced by a namesake', { device: { ...DEVICE, uid: 'u2' } }, 'HR-EST-011'],
    ['that is revoked', { entry: { ...ENTRY, revoked } }, 'HR-EST-012'],
    ['of a revoked Device', { device: { ...DEVICE, revoked: true } }, 'HR-EST-006'],
    ['with another subject', { facts: { ...FACTS, subject: 'CN=thermo-1.berlin' } }, 'HR-EST-015'],
    ['with another order of names', { facts: { ...FACTS, subject: 'CN=thermo-1.berlin\nOU=office.berlin\nO=hedgerow' } }, 'HR-EST-015'],
    ['for other usages', { facts: { ...FACTS, dictatedUsages: false } }, 'HR-EST-015'],
    ['of a CA', { facts: { ...FACTS, isCa: true } }, 'HR-EST-015'],
    ['with another key than the ledger says', { facts: { ...FACTS, spki: 'x' } }, 'HR-EST-015'],
    ['that begins in an hour', { facts: { ...FACTS, notBefore: iso(NOW + HOUR) } }, 'HR-EST-014'],
    ['that begins in a minute, by an issuer whose clock differs', { facts: { ...FACTS, notBefore: iso(NOW + 60_000) } }, undefined],
    ['that expired within the budget', { facts: { ...FACTS, notAfter: iso(NOW - 72 * HOUR + 1) } }, undefined],
    ['that expired when the budget ended', { facts: { ...FACTS, notAfter: iso(NOW - 72 * HOUR) } }, 'HR-EST-013'],
    [
      'that expired, without a budget',
      { device: { ...DEVICE, offlineBudgetMs: 0 }, facts: { ...FACTS, notAfter: iso(NOW) } },
      'HR-EST-013',
    ],
  ])('%s', (_name, change, code) => expect(judgeOwnCertificate({ ...GOOD, ...change })?.code).toBe(code));

  const EXISTING: OwnCertificate = {
    ...{ ...GOOD, signedByOurs: false, entry: { ...ENTRY, via: 'Existing' } },
    facts: { ...FACTS, subject: 'CN=sensor 4711', dictatedUsages: false },
  };
  it.each<[string, Partial<OwnCertificate>, string | undefined]>([
    ['that the manifest named', {}, undefined],
    ['that it named and that has our form', { facts: FACTS }, undefined],
    ['with other bytes under the same key', { facts: { ...EXISTING.facts, sha256: 'x' } }, 'HR-EST-010'],
    ['that the ledger has from elsewhere', { entry: { ...ENTRY, via: 'EST' } }, 'HR-EST-010'],
    ['that the ledger does not know', { entry: undefined }, 'HR-EST-010'],
    ['whose Device was replaced by a namesake', { device: { ...DEVICE, uid: 'u2' } }, 'HR-EST-011'],
    ['that is revoked', { entry: { ...ENTRY, via: 'Existing', revoked } }, 'HR-EST-012'],
    ['of a revoked Device', { device: { ...DEVICE, revoked: true } }, 'HR-EST-006'],
    ['of a CA', { facts: { ...EXISTING.facts, isCa: true } }, 'HR-EST-015'],
    ['with another key than the ledger says', { facts: { ...EXISTING.facts, spki: 'x' } }, 'HR-EST-015'],
    ['that begins in an hour', { facts: { ...EXISTING.facts, notBefore: iso(NOW + HOUR) } }, 'HR-EST-014'],
    ['that expired within the budget', { facts: { ...EXISTING.facts, notAfter: iso(NOW - HOUR) } }, undefined],
    ['that expired before', { facts: { ...EXISTING.facts, notAfter: iso(NOW - 73 * HOUR) } }, 'HR-EST-013'],
  ])('of another CA: one %s', (_name, change, code) => expect(judgeOwnCertificate({ ...EXISTING, ...change })?.code).toBe(code));

  it('never is enough unless signed by us, in the ledger, of the Device, unrevoked, for clients and in time', () => {
    const arbitrary = fc.record({
      signedByOurs: fc.boolean(),
      entry: fc.constantFrom(undefined, ENTRY, { ...ENTRY, revoked }, { ...ENTRY, sha256: 'x' }, { ...ENTRY, spki: 'x' }),
      device: fc.constantFrom(undefined, DEVICE, { ...DEVICE, uid: 'u2' }, { ...DEVICE, revoked: true }, { ...DEVICE, offlineBudgetMs: 0 }),
      facts: fc
        .record({
          isCa: fc.boolean(),
          dictatedUsages: fc.boolean(),
          begins: fc.integer({ min: -200, max: 2 }),
          lasts: fc.integer({ min: 1, max: 200 }),
        })
        .map(({ isCa, dictatedUsages, begins, lasts }) => ({
          ...FACTS,
          isCa,
          dictatedUsages,
          notBefore: iso(NOW + begins * HOUR),
          notAfter: iso(NOW + (begins + lasts) * HOUR),
        })),
    });
    fc.assert(
      fc.property(arbitrary, ({ signedByOurs, entry, device, facts }) => {
        const ok = judgeOwnCertificate({ now: NOW, signedByOurs, entry, device, facts }) === undefined;
        const isOurs = signedByOurs && entry?.sha256 === 's' && entry.spki === 'k' && entry.revoked === undefined && device?.uid === 'u1';
        const inTime = Date.parse(facts.notBefore) <= NOW + 300_000 && Date.parse(facts.notAfter) + (device?.offlineBudgetMs ?? 0) > NOW;
        expect(ok).toBe(isOurs && device?.revoked === false && !facts.isCa && facts.dictatedUsages && inTime);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('a factory certificate', () => {
  const good = {
    device: DEVICE,
    leadsToManufacturer: true,
    factory: { serialNumber: 'A1', hardwareSerial: 'A1' },
    proof: { ca: 'c1', key: 'k1' },
  };
  const stands = (factory: Partial<NonNullable<EstDevice['factory']>>): EstDevice => ({
    ...DEVICE,
    factory: { ca: undefined, key: undefined, request: undefined, policy: undefined, ...factory },
  });
  it.each<[string, Partial<Parameters<typeof judgeFactoryCertificate>[0]>, string | undefined]>([
    ['of the maker with the serial number of the Device', {}, undefined],
    ['for no Device', { device: undefined }, 'HR-EST-005'],
    ['for a Device that enrols by token', { device: { ...DEVICE, bootstrap: 'Token' } }, 'HR-EST-005'],
    ['for a Device with a CSR in its manifest', { device: { ...DEVICE, bootstrap: undefined } }, 'HR-EST-005'],
    ['of another maker', { leadsToManufacturer: false }, 'HR-EST-021'],
    ['for a revoked Device', { device: { ...DEVICE, revoked: true } }, 'HR-EST-006'],
    ['with serial numbers that differ', { factory: { serialNumber: 'A1', hardwareSerial: 'a1' } }, 'HR-EST-022'],
    ['without serial numbers', { factory: { serialNumber: undefined, hardwareSerial: undefined } }, 'HR-EST-022'],
    ['with the serial number of another Device', { factory: { serialNumber: 'B2', hardwareSerial: 'B2' } }, 'HR-EST-023'],
    ['for a Device that stands for it', { device: stands({ ca: 'c1', key: 'k1' }) }, undefined],
    ['for a Device that stands for a thing of another maker', { device: stands({ ca: 'c2' }) }, 'HR-EST-024'],
    ['for a Device that stands for another one with this serial number', { device: stands({ ca: 'c1', key: 'k2' }) }, 'HR-EST-024'],
    ['for a Device whose annotation is junk', { device: stands({ ca: '' }) }, 'HR-EST-024'],
    ['for a Device without a serial number', { device: { ...DEVICE, serial: undefined } }, 'HR-EST-023'],
  ])('%s', (_name, change, code) => expect(judgeFactoryCertificate({ ...good, ...change })?.code).toBe(code));
});
