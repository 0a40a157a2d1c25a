import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import type { Device } from '../api/device.ts';
import { identityOf, identityText, span } from './device-identity.ts';
import { identity } from './identity.ts';
import { type LedgerLine, linesOf } from './ledger.ts';
import { makeCertificate } from './testing/certificate.ts';
import { typed } from './testing/heard.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const DAY = 86_400_000;
let pem: string;
let sha256: string;

beforeAll(async () => {
  pem = await makeCertificate({ notBefore: NOW - DAY, notAfter: NOW + 29 * DAY });
  sha256 = new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
});

function device(
  segment = 'office',
  status: Device['status'] = { certificate: pem, identity: { renewAt: '2026-03-20T00:00:00Z', issuer: 'Issuer/berlin/site-ca' } },
): Device {
  const metadata = { name: 'thermo-17', namespace: 'berlin' };
  return { apiVersion: '', kind: 'Device', metadata, spec: { segment } as Device['spec'], status };
}

const line = (more: Partial<LedgerLine> = {}): LedgerLine => ({
  ...{ device: 'thermo-17.berlin', segment: 'office.berlin', via: 'CSR', sha256, notAfter: '2026-03-30T00:00:00Z' },
  ...more,
});

/** The printed lines by their first words. */
function text(of: Device, ledger: LedgerLine[] | undefined, now = NOW): Record<string, string> {
  const lines = identityText(identityOf(of, ledger), now).trimEnd().split('\n');
  return Object.fromEntries(lines.map((one) => one.split(/ {3,}/) as [string, string]));
}

describe('the certificate of a device', () => {
  it('is shown with what can be compared elsewhere', () => {
    expect(text(device(), [line()])).toMatchObject({
      ...{ device: 'berlin/thermo-17', 'client id': 'thermo-17.berlin', enrollment: 'CSR', sha256 },
      segment: 'office.berlin, in manifest and certificate',
      'user name': expect.stringMatching(/^[0-9a-f]{32} /),
      valid: '2026-02-28T00:00:00Z to 2026-03-30T00:00:00Z, 29 d 0 h left',
      'renewed at': '2026-03-20T00:00:00Z',
      issuer: expect.stringMatching(/^Issuer\/berlin\/site-ca: CN=/),
      ledger: 'in force; for office.berlin, by CSR until 2026-03-30T00:00:00Z',
    });
  });

  it.each<[what: string, of: () => Device, ledger: () => LedgerLine[] | undefined, now: number, lines: Record<string, string>]>([
    [
      'of another segment than the manifest',
      () => device('lab'),
      () => undefined,
      NOW,
      { segment: 'lab.berlin in the manifest, office.berlin in the certificate: the device is moving and needs its next certificate' },
    ],
    ['that is over', device, () => [], NOW + 30 * DAY, { valid: expect.stringMatching(/, expired 1 d 0 h ago$/) as string }],
    [
      'from the future',
      device,
      () => [],
      NOW - 2 * DAY,
      { valid: expect.stringMatching(/not begun by the clock of this machine$/) as string },
    ],
    [
      'of a CA that is known',
      device,
      () => [line({ ca: 'c'.repeat(32) })],
      NOW,
      { ledger: expect.stringMatching(/, signed by CA c{32}$/) as string },
    ],
    ['that nobody recorded', device, () => [line({ sha256: 'other', serial: '2' })], NOW, { ledger: 'does not hold this certificate' }],
    ['with a ledger that may not be read', device, () => undefined, NOW, { ledger: 'not readable with your rights' }],
    [
      'that is revoked',
      device,
      () => [line({ revoked: { at: '2026-02-28T12:00:00.5Z', reason: 'Revoked', by: 'alice' } })],
      NOW,
      { ledger: expect.stringMatching(/^revoked 2026-02-28T12:00:00Z, Revoked by alice; /) as string },
    ],
    ['that is not there', () => device('office', {}), () => [], NOW, { certificate: 'none yet; "kubectl hedgerow why" says why' }],
    [
      'of a Managed device, whose Secret is not read',
      () =>
        device('office', {
          identity: { serialNumber: '0a', fingerprint: sha256, notBefore: '2026-02-28T00:00:00Z', notAfter: '2026-03-30T00:00:00Z' },
        }),
      () => [line()],
      NOW,
      {
        serial: '0a',
        segment: expect.stringContaining('in the Secret of the device') as string,
        ledger: expect.stringMatching(/^in force/) as string,
      },
    ],
  ])('%s', (_what, of, ledger, now, lines) => expect(text(of(), ledger(), now)).toMatchObject(lines));

  it('is shown with the others of the same device, and none of another', () => {
    const others = [line({ sha256: 'old', serial: '7', revoked: {} }), line({ device: 'air.berlin', serial: '8' })];
    const shown = identityText(identityOf(device(), [line(), ...others]), NOW);
    expect(shown).toMatch(/^also +serial 7: revoked /m);
    expect(shown).not.toContain('serial 8');
  });

  it('whatever the status holds for one, there is an answer', () => {
    fc.assert(
      fc.property(
        fc.record({ certificate: fc.string(), identity: fc.record({ notBefore: fc.string(), notAfter: fc.string() }) }),
        (status) => {
          expect(identityText(identityOf(device('office', status), undefined), NOW)).toContain('berlin/thermo-17');
        },
      ),
    );
  });
});

describe('the ledger as it is read here', () => {
  const page = (entries: Record<string, string>): CertificateLedger => ({ apiVersion: '', kind: '', metadata: {}, spec: { entries } });

  it('keeps the fields that are texts, and that something is revoked however it says so', () => {
    const lines = linesOf([
      page({ a: '{"device":"x.y","serial":"1","md5":2,"revoked":"yes"}', b: '{"device":"x.y","pending":true}', c: '{"serial":"3"}' }),
    ]);
    expect(lines).toEqual([
      { device: 'x.y', serial: '1', revoked: expect.anything() },
      { device: 'x.y', pending: true },
    ]);
  });

  it('a page that does not read stops nobody', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.json())), (entries) => Array.isArray(linesOf([page(entries)]))),
    );
  });
});

describe('kubectl hedgerow identity', () => {
  it.each([
    [59_000, '59 s'],
    [3 * 60_000, '3 min'],
    [3_600_000 * 5 + 60_000, '5 h 1 min'],
    [DAY * 2.5, '2 d 12 h'],
  ])('%s ms are %s', (ms, words) => expect(span(ms)).toBe(words));

  it('wants a device', async () => {
    expect(await typed(identity, 'identity')).toMatchObject({ code: 2, err: expect.stringContaining('which DEVICE?') });
  });

  it('every flag is in its help', () => {
    for (const flag of Object.keys(identity.flags).filter((name) => name !== 'help')) expect(identity.help).toContain(`--${flag}`);
  });
});
