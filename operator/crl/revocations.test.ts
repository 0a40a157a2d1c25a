// What becomes of ledger pages: the same list whatever page an entry is on, nobody leaves before his time, nobody stays for ever.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import { type RevokedCertificate, revocationsOf } from '../identity/identity.ts';
import { encodeRevoked } from './certificate-list.ts';
import { Revocations } from './revocations.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const DAY_MS = 86_400_000;
const certificate = (serial: string, more: Partial<RevokedCertificate> = {}): RevokedCertificate => ({
  issuer: 'Issuer/berlin/devices',
  serial,
  notAfterMs: NOW + DAY_MS,
  revokedAtMs: NOW - 1_000,
  reason: 'Revoked',
  ...more,
});
const hex = (list: Buffer[]): string[] => list.map((one) => one.toString('hex'));

describe('revoked certificates', () => {
  it('belong to their issuer alone, and only the issuers that gain one are named', () => {
    const revocations = new Revocations(DAY_MS);
    expect(revocations.take([certificate('aa'), certificate('bb', { issuer: 'ClusterIssuer//fleet' })], NOW)).toEqual(
      new Set(['Issuer/berlin/devices', 'ClusterIssuer//fleet']),
    );
    expect(revocations.take([certificate('aa'), certificate('cc')], NOW)).toEqual(new Set(['Issuer/berlin/devices']));
    expect(revocations.take([certificate('aa'), certificate('cc')], NOW)).toEqual(new Set());
    expect(revocations.entries('ClusterIssuer//fleet', NOW)).toHaveLength(1);
    expect(revocations.entries('Issuer/berlin/devices', NOW)).toHaveLength(2);
    expect(revocations.entries('Issuer/berlin/others', NOW)).toEqual([]);
  });

  it.each([
    ['Revoked', 'privilegeWithdrawn'],
    ['Retired', 'cessationOfOperation'],
    ['Moved', 'affiliationChanged'],
    ['Compromised', 'keyCompromise'],
  ] as const)('that the ledger calls %s are %s on the list', (reason, on) => {
    const revocations = new Revocations(DAY_MS);
    revocations.take([certificate('aa', { reason })], NOW);
    const entry = encodeRevoked({ serial: 'aa', revokedAtMs: NOW - 1_000, reason: on });
    expect(hex(revocations.entries('Issuer/berlin/devices', NOW))).toEqual([entry.toString('hex')]);
  });

  it('leave when they have expired, and one list later at the earliest', () => {
    const revocations = new Revocations(DAY_MS);
    revocations.take([certificate('aa', { notAfterMs: NOW + 10 }), certificate('bb', { notAfterMs: NOW - DAY_MS - 1 })], NOW);
    expect(revocations.entries('Issuer/berlin/devices', NOW + DAY_MS)).toHaveLength(1);
    expect(revocations.entries('Issuer/berlin/devices', NOW + DAY_MS + 11)).toHaveLength(0);
    expect(revocations.take([certificate('aa', { notAfterMs: NOW + 10 })], NOW + DAY_MS + 11)).toEqual(new Set());
  });

  it('make the same list in whatever order and however often they come', () => {
    const serials = fc.uniqueArray(fc.stringMatching(/^[0-9a-f]{1,64}$/), { selector: (one) => BigInt(`0x${one}`), maxLength: 60 });
    fc.assert(
      fc.property(serials, fc.infiniteStream(fc.nat()), fc.integer({ min: 1, max: 7 }), (all, random, pages) => {
        const inOrder = new Revocations(DAY_MS);
        inOrder.take(
          all.map((serial) => certificate(serial)),
          NOW,
        );
        const expected = hex(inOrder.entries('Issuer/berlin/devices', NOW));
        const shuffled = [...all].map((serial) => [random.next().value as number, serial] as const).sort(([a], [b]) => a - b);
        const paged = new Revocations(DAY_MS);
        for (let page = 0; page < pages; page++) {
          const mine = shuffled.filter((_, at) => at % pages === page || at % 3 === 0).map(([, serial]) => certificate(serial));
          paged.take(mine, NOW);
          paged.entries('Issuer/berlin/devices', NOW);
        }
        expect(hex(paged.entries('Issuer/berlin/devices', NOW))).toEqual(expected);
        expect(new Set(expected).size).toBe(all.length);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a page of the ledger', () => {
  const sha = (seed: string): string => seed.repeat(64).slice(0, 64);
  const page = (entries: Record<string, unknown>): CertificateLedger =>
    ({
      apiVersion: 'hedgerow.dev/v1alpha1',
      kind: 'CertificateLedger',
      metadata: { name: 'ledger-0', namespace: 'own' },
      spec: {
        entries: Object.fromEntries(Object.entries(entries).map(([id, one]) => [id, typeof one === 'string' ? one : JSON.stringify(one)])),
      },
    }) as CertificateLedger;
  const entry = {
    device: 'thermo.berlin',
    deviceUid: 'uid',
    segment: 'office.berlin',
    issuer: 'Issuer/berlin/devices',
    serial: 'ab12',
    md5: 'a'.repeat(32),
    sha256: sha('a'),
    spki: sha('b'),
    notBefore: '2026-11-01T00:00:00Z',
    notAfter: '2026-12-01T00:00:00Z',
    via: 'CSR',
  };
  const revoked = { at: '2026-11-20T00:00:00Z', reason: 'Compromised', by: 'alice' };

  it('gives those that are revoked, and the issuers of all', () => {
    const good = { ...entry, sha256: sha('c'), issuer: 'ClusterIssuer//fleet' };
    const read = revocationsOf(page({ [sha('a').slice(0, 32)]: { ...entry, revoked }, [sha('c').slice(0, 32)]: good }));
    expect(read).toEqual({
      revoked: [
        {
          issuer: 'Issuer/berlin/devices',
          serial: 'ab12',
          notAfterMs: Date.parse(entry.notAfter),
          revokedAtMs: Date.parse(revoked.at),
          reason: 'Compromised',
        },
      ],
      issuers: new Map([
        ['Issuer/berlin/devices', Date.parse(entry.notAfter)],
        ['ClusterIssuer//fleet', Date.parse(entry.notAfter)],
      ]),
      problem: undefined,
    });
  });

  it('leave out what another CA made: its list is its own', () => {
    const foreign = { ...entry, via: 'Existing', issuer: 'External//acme', revoked };
    expect(revocationsOf(page({ [sha('a').slice(0, 32)]: foreign }))).toEqual({ revoked: [], issuers: new Map(), problem: undefined });
  });

  it('that somebody tampered with is a problem as a whole, never a shorter list', () => {
    const hostile = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({
        ...Object.fromEntries(Object.keys(entry).map((field) => [field, fc.oneof(fc.string(), fc.integer(), fc.constant(null))])),
      }),
      fc.string().map((serial) => ({ ...entry, serial: `${serial}g`, revoked })),
      fc.string().map((at) => ({ ...entry, revoked: { ...revoked, at: `x${at}` } })),
    );
    fc.assert(
      fc.property(hostile, (text) => {
        const read = revocationsOf(page({ [sha('a').slice(0, 32)]: { ...entry, revoked }, [sha('d').slice(0, 32)]: text }));
        expect(read.problem).toContain('HR-ID-040');
        expect(read.revoked).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
