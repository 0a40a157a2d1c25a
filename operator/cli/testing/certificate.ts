// A device's certificate as an issuer makes it, of a key that is thrown away.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** PEM for `thermo-17` in `office`, namespace `berlin`. */
export async function makeCertificate(validity: { notBefore: number; notAfter: number }): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create(
    {
      ...{
        serialNumber: '0a0b',
        subject: [{ O: ['hedgerow'] }, { OU: ['office.berlin'] }, { CN: ['thermo-17.berlin'] }],
        issuer: 'CN=site root',
      },
      ...{ notBefore: new Date(validity.notBefore), notAfter: new Date(validity.notAfter) },
      ...{ publicKey: keys.publicKey, signingKey: keys.privateKey, signingAlgorithm: ALGORITHM },
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

export type MadeServer = { caPem: string; certPem: string; keyPem: string };

/** A server certificate for `localhost` alone, with its CA. */
export async function makeServer(): Promise<MadeServer> {
  const [caKeys, keys] = [
    await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']),
    await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']),
  ];
  const now = Date.now();
  const validity = { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + 3_600_000) };
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=broker CA',
      ...validity,
      keys: caKeys,
      signingAlgorithm: ALGORITHM,
      extensions: [new BasicConstraintsExtension(true, 0, true)],
    },
    webcrypto,
  );
  const server = await X509CertificateGenerator.create(
    {
      ...{ serialNumber: '02', subject: 'CN=broker', issuer: ca.subject, ...validity },
      ...{ publicKey: keys.publicKey, signingKey: caKeys.privateKey, signingAlgorithm: ALGORITHM },
      extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }])],
    },
    webcrypto,
  );
  const keyPem = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { caPem: ca.toString('pem'), certPem: server.toString('pem'), keyPem };
}
