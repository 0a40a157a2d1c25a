// A device's certificate as an issuer makes it, of a key that is thrown away.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { X509CertificateGenerator } from '@peculiar/x509';

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
