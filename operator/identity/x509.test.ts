import 'reflect-metadata';
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate } from '@peculiar/asn1-x509';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { newKeys } from './testing/maker.ts';
import { readCertificate } from './x509.ts';

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const signing = new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true);
const client = new ExtendedKeyUsageExtension([CLIENT_AUTH]);
const leaf = new BasicConstraintsExtension(false, undefined, true);
const ca = new BasicConstraintsExtension(true, undefined, true);
const name = new SubjectAlternativeNameExtension([{ type: 'dns', value: 'thermo-1.example' }]);

async function certificate(extensions: Extension[]): Promise<string> {
  const keys = await newKeys();
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '2a',
    name: 'CN=thermo-1.berlin',
    keys,
    notBefore: new Date('2026-11-01T00:00:00Z'),
    notAfter: new Date('2026-12-01T00:00:00Z'),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions,
  });
  return made.toString('pem');
}

describe('what a certificate is for', () => {
  it.each<[string, Extension[], { dictatedUsages: boolean; isCa: boolean }]>([
    [
      'is signing and being a client, wherever the two extensions stand',
      [leaf, name, client, signing],
      { dictatedUsages: true, isCa: false },
    ],
    ['needs no BasicConstraints', [signing, client], { dictatedUsages: true, isCa: false }],
    ['is not what was dictated without a usage', [signing], { dictatedUsages: false, isCa: false }],
    ['is not what was dictated without extensions', [], { dictatedUsages: false, isCa: false }],
    [
      'is not what was dictated with one usage more',
      [signing, new ExtendedKeyUsageExtension([CLIENT_AUTH, SERVER_AUTH])],
      { dictatedUsages: false, isCa: false },
    ],
    [
      'is not what was dictated when the key may do more',
      [new KeyUsagesExtension(KeyUsageFlags.digitalSignature + KeyUsageFlags.keyEncipherment), client],
      { dictatedUsages: false, isCa: false },
    ],
    ['is that of a CA also where the usage forbids to sign certificates', [ca, signing, client], { dictatedUsages: true, isCa: true }],
  ])('%s', async (_name, extensions, expected) => {
    expect(readCertificate(await certificate(extensions))).toMatchObject(expected);
  });
});

describe('reading a certificate', () => {
  let pem: string;
  let der: Buffer;
  beforeAll(async () => {
    pem = await certificate([leaf, signing, client]);
    der = new X509Certificate(pem).raw;
  });

  it('finds the key that two libraries find', () => {
    const { tbsCertificate } = AsnConvert.parse(der, Certificate);
    const byLibrary = Buffer.from(AsnConvert.serialize(tbsCertificate.subjectPublicKeyInfo));
    const byNode = createPublicKey(pem).export({ type: 'spki', format: 'der' });
    expect(byLibrary.equals(byNode)).toBe(true);
    expect(readCertificate(pem)?.spki).toBe(createHash('sha256').update(byNode).digest('hex'));
  });

  it('never throws, and never calls usages right that the library reads otherwise, whatever byte is changed', () => {
    fc.assert(
      fc.property(fc.nat({ max: der.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = Buffer.from(der);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        const facts = readCertificate(`-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`);
        if (facts === undefined) return;
        const ids = idsByLibrary(bytes);
        if (facts.dictatedUsages && ids !== undefined) expect(ids).toEqual(expect.arrayContaining(['2.5.29.15', '2.5.29.37']));
      }),
      { numRuns: 2_000 },
    );
  });
});

/** undefined where the library does not read what OpenSSL read. */
function idsByLibrary(der: Buffer): string[] | undefined {
  try {
    return (AsnConvert.parse(der, Certificate).tbsCertificate.extensions ?? []).map(({ extnID }) => extnID);
  } catch {
    return undefined;
  }
}
