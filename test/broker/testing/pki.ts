/** A CA of devices and what it signs: good certificates, and those that somebody else might present. */

import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  PemConverter,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';
import { type Rdn, type StringKind, subjectDer } from './subject-der.ts';

export type Identity = { certPem: string; keyPem: string; md5: string; serial: string };
export type IssueOptions = {
  encoding?: StringKind;
  /** Extended key usages; none at all: the extension is left out. */
  usages?: string[];
  /** URL of a CRL distribution point. */
  crl?: string;
  expired?: boolean;
  isCa?: boolean;
};
export type DeviceCa = {
  certPem: string;
  issue(subject: readonly Rdn[], options?: IssueOptions): Promise<Identity>;
  /** PEM. `nextUpdateInMs` may be negative. */
  crl(revoked: readonly Identity[], nextUpdateInMs?: number): Promise<string>;
};

export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

export async function makeDeviceCa(name: string): Promise<DeviceCa> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: `CN=${name}`,
      ...validity(),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 1, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        // As cert-manager's CAs have it: by it OpenSSL, and so the stand-in, tells two CAs of one name apart. OTP tries the signature.
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return deviceCa(ca, keys.privateKey);
}

/** A CA that exists: its certificate and its P-256 key in PKCS#8. */
export async function loadDeviceCa(certPem: string, keyPem: string): Promise<DeviceCa> {
  const key = await webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(keyPem), ALGORITHM, false, ['sign']);
  return deviceCa(new X509Certificate(certPem), key);
}

function deviceCa(ca: X509Certificate, signingKey: webcrypto.CryptoKey): DeviceCa {
  // Not again the numbers of an earlier run against the same broker.
  let serial = 0x100000000000 + Math.floor(Math.random() * 0xffffffff) * 0x1000;
  return {
    certPem: ca.toString('pem'),
    issue: (subject, options = {}) => issue(ca, signingKey, (serial++).toString(16), subject, options),
    async crl(revoked, nextUpdateInMs = 7 * DAY_MS) {
      const crl = await X509CrlGenerator.create(
        {
          issuer: ca.subject,
          thisUpdate: new Date(Date.now() - DAY_MS),
          nextUpdate: new Date(Date.now() + nextUpdateInMs),
          entries: revoked.map((one) => ({ serialNumber: one.serial, revocationDate: new Date(Date.now() - 1000) })),
          signingKey,
          signingAlgorithm: ALGORITHM,
        },
        webcrypto,
      );
      return crl.toString('pem');
    },
  };
}

function validity(expired = false): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 2 * DAY_MS), notAfter: new Date(expired ? now - DAY_MS : now + 30 * DAY_MS) };
}

async function issue(
  ca: X509Certificate,
  signingKey: webcrypto.CryptoKey,
  serial: string,
  subject: readonly Rdn[],
  { encoding, usages = [CLIENT_AUTH], crl, expired, isCa }: IssueOptions,
): Promise<Identity> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const extensions = [
    await AuthorityKeyIdentifierExtension.create(ca.publicKey, false, webcrypto),
    ...(usages.length > 0 ? [new ExtendedKeyUsageExtension(usages)] : []),
    ...(crl === undefined ? [] : [new CRLDistributionPointsExtension([crl])]),
    ...(isCa === true ? [new BasicConstraintsExtension(true, 0, true)] : []),
  ];
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: serial,
      subject: new Name(subjectDer(subject, encoding)),
      issuer: ca.subject,
      ...validity(expired),
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    },
    webcrypto,
  );
  return {
    certPem: certificate.toString('pem'),
    keyPem: PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
    md5: createHash('md5').update(Buffer.from(certificate.rawData)).digest('hex'),
    serial,
  };
}

/** The three RDNs of a well-formed subject, in the order O, OU, CN. */
export function subject(organisation: string, segment: string, device: string): Rdn[] {
  return [[{ type: 'O', value: organisation }], [{ type: 'OU', value: segment }], [{ type: 'CN', value: device }]];
}
