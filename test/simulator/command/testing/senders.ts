// Senders of commands: CAs of a site's devices and certificates under them, good ones and others. Nothing of it is trusted outside the test.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  type X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const DAY_MS = 86_400_000;

export type SiteCa = { certificate: X509Certificate; keys: webcrypto.CryptoKeyPair };
export type Sender = SiteCa & { keyPem: string; chainPem: string };

/** What a certificate should be; each default is right. */
export type Wanted = {
  subject?: string;
  usages?: string[];
  isCa?: boolean;
  notBefore?: number;
  notAfter?: number;
  algorithm?: 'P-256' | 'P-384' | 'Ed25519';
  serial?: string;
};

export async function siteCa(name: string, now: number, under?: SiteCa): Promise<SiteCa> {
  const keys = await keyPair('P-256');
  const certificate = await X509CertificateGenerator.create(
    {
      subject: `CN=${name}`,
      issuer: under?.certificate.subject ?? `CN=${name}`,
      notBefore: new Date(now - 30 * DAY_MS),
      notAfter: new Date(now + 3650 * DAY_MS),
      publicKey: keys.publicKey,
      signingKey: (under?.keys ?? keys).privateKey,
      signingAlgorithm: P256,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  return { certificate, keys };
}

export async function sender(ca: SiteCa, name: string, now: number, wanted: Wanted = {}, between: readonly SiteCa[] = []): Promise<Sender> {
  const { subject = `O=hedgerow, OU=gateways.berlin, CN=${name}`, usages = [CLIENT_AUTH], isCa = false } = wanted;
  const keys = await keyPair(wanted.algorithm ?? 'P-256');
  const certificate = await X509CertificateGenerator.create(
    {
      subject,
      issuer: ca.certificate.subject,
      ...(wanted.serial === undefined ? {} : { serialNumber: wanted.serial }),
      notBefore: new Date(wanted.notBefore ?? now - DAY_MS),
      notAfter: new Date(wanted.notAfter ?? now + 30 * DAY_MS),
      publicKey: keys.publicKey,
      signingKey: ca.keys.privateKey,
      signingAlgorithm: P256,
      extensions: [
        new BasicConstraintsExtension(isCa, undefined, true),
        new KeyUsagesExtension(isCa ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature, true),
        ...(usages.length === 0 ? [] : [new ExtendedKeyUsageExtension(usages)]),
      ],
    },
    webcrypto,
  );
  const keyPem = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  const chainPem = [certificate, ...between.map((one) => one.certificate)].map((one) => one.toString('pem')).join('\n');
  return { keyPem, chainPem, certificate, keys };
}

/** DER. */
export async function revocationList(ca: SiteCa, revoked: readonly Sender[], now: number): Promise<Buffer> {
  const list = await X509CrlGenerator.create(
    {
      issuer: ca.certificate.subject,
      thisUpdate: new Date(now),
      nextUpdate: new Date(now + DAY_MS),
      entries: revoked.map(({ certificate }) => ({ serialNumber: certificate.serialNumber, revocationDate: new Date(now) })),
      signingKey: ca.keys.privateKey,
      signingAlgorithm: P256,
    },
    webcrypto,
  );
  return Buffer.from(list.rawData);
}

export const der = ({ certificate }: { certificate: X509Certificate }): Buffer => Buffer.from(certificate.rawData);

async function keyPair(algorithm: 'P-256' | 'P-384' | 'Ed25519'): Promise<webcrypto.CryptoKeyPair> {
  const asked = algorithm === 'Ed25519' ? { name: 'Ed25519' } : { name: 'ECDSA', namedCurve: algorithm };
  return (await webcrypto.subtle.generateKey(asked, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}
