import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DEVICE_INDEXES, leafHash } from './device-facts.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { device, HOUR, NOW } from './testing/scene.ts';
import { readCertificate } from './x509.ts';

const csr = await makeCsr();
const otherCsr = await makeCsr({ device: 'thermo-18' });
const certificate = await issue(csr, { notBefore: NOW, notAfter: NOW + HOUR });

describe('what is kept of a Device', () => {
  it('is a verdict on its request, the subject it must have, and the defaults of the API', () => {
    expect(device({ serial: 'A1', identity: { csr } })).toMatchObject({
      key: 'berlin/thermo-17',
      enrollment: 'CSR',
      subject: { organization: 'hedgerow', organizationalUnit: 'office.berlin', commonName: 'thermo-17.berlin' },
      serial: 'A1',
      issuerRef: undefined,
      durationMs: 720 * HOUR,
      renewBeforeMs: 240 * HOUR,
      secretName: 'thermo-17-tls',
      csr: { ok: true, keyKind: 'P-256' },
      handedOut: undefined,
    });
  });

  it('takes issuer, duration and Secret from the manifest', () => {
    const identity = {
      enrollment: 'Managed' as const,
      secretName: 's',
      duration: '2h',
      renewBefore: '30m',
      issuerRef: { name: 'x', kind: 'ClusterIssuer' as const },
    };
    expect(device({ identity })).toMatchObject({
      enrollment: 'Managed',
      secretName: 's',
      durationMs: 2 * HOUR,
      renewBeforeMs: HOUR / 2,
      issuerRef: { name: 'x', kind: 'ClusterIssuer' },
      csr: undefined,
    });
  });

  it('has no subject and no verdict when its names cannot be in a certificate', () => {
    expect(device({ name: 'x'.repeat(63), identity: { csr } })).toMatchObject({ subject: undefined, csr: undefined });
  });

  it('judges the request anew when the segment changes, since the subject does', () => {
    expect(device({ identity: { csr } }).csr?.ok).toBe(true);
    expect(device({ segment: 'gateways', identity: { csr } }).csr).toMatchObject({ ok: false, code: 'HR-ID-009' });
    expect(device({ identity: { csr } }).csr?.ok).toBe(true);
  });
});

describe('the indexes', () => {
  const { identitySerial, identityKey } = DEVICE_INDEXES;
  it('find a serial number within its namespace', () => {
    expect(identitySerial?.(device({ serial: 'A1' }))).toEqual(['berlin/A1']);
    expect(identitySerial?.(device())).toEqual([]);
  });
  it('find only keys that were proved: a request that was copied blocks nobody', () => {
    const mine = device({ identity: { csr } });
    expect(identityKey?.(mine)).toEqual([mine.csr?.ok && mine.csr.spki]);
    expect(identityKey?.(device({ identity: { csr: otherCsr } }))).toEqual([]);
    expect(identityKey?.(device())).toEqual([]);
  });
});

describe('leafHash', () => {
  it('is the hash of the first certificate of a chain', async () => {
    const root = await issue(await makeCsr(), { notBefore: NOW, notAfter: NOW + HOUR });
    expect(leafHash(certificate + root)).toBe(readCertificate(certificate)?.sha256);
  });
  it.each([undefined, '', 'junk', '-----BEGIN CERTIFICATE-----'])('is nothing for %j', (chain) => expect(leafHash(chain)).toBeUndefined());
  it('is that of the bytes, also when they are no certificate', () => {
    expect(leafHash('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----')).toBe(
      createHash('sha256').update(Buffer.from('AAAA', 'base64')).digest('hex'),
    );
  });
});

describe('readCertificate', () => {
  it('reads the leaf of a chain', async () => {
    const root = await issue(await makeCsr(), { notBefore: NOW, notAfter: NOW + HOUR, isCa: true });
    expect(readCertificate(certificate + root)).toMatchObject({
      subject: 'O=hedgerow\nOU=office.berlin\nCN=thermo-17.berlin',
      notBefore: '2026-03-01T00:00:00.000Z',
      notAfter: '2026-03-01T01:00:00.000Z',
      isCa: false,
      dictatedUsages: true,
      spki: device({ identity: { csr } }).csr?.spki,
    });
  });
  it.each(['', 'junk', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', 'x'.repeat(100_000)])(
    'is nothing for what is none',
    (text) => expect(readCertificate(text)).toBeUndefined(),
  );
});
