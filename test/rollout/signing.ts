// A cert-manager that signs what is asked for, by two CAs of the test: one that the broker trusts, one that devices have pinned.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const USAGES: Record<string, string> = { 'client auth': '1.3.6.1.5.5.7.3.2', 'code signing': '1.3.6.1.5.5.7.3.3' };
const SAN = '2.5.29.17';

export type TestCa = { certificate: X509Certificate; pem: string; keys: webcrypto.CryptoKeyPair };

export async function makeCa(name: string): Promise<TestCa> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...{ serialNumber: '01', name: `CN=${name}`, keys, signingAlgorithm: ALGORITHM, ...term() },
      extensions: [new BasicConstraintsExtension(true, 0, true), new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
    },
    webcrypto,
  );
  return { certificate, pem: certificate.toString('pem'), keys };
}

let serial = 100;

/** PEM of the certificate for a request in PEM. */
export async function signRequest(ca: TestCa, requestPem: string, usages: readonly string[], durationMs = 7 * 86_400_000): Promise<string> {
  const request = new Pkcs10CertificateRequest(requestPem);
  const names = request.extensions.filter(({ type }) => type === SAN);
  const extended = usages.flatMap((usage) => USAGES[usage] ?? []);
  const extensions: Extension[] = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    ...(extended.length === 0 ? [] : [new ExtendedKeyUsageExtension(extended)]),
    ...names.map(({ rawData }) => new SubjectAlternativeNameExtension(rawData)),
  ];
  serial += 1;
  const certificate = await X509CertificateGenerator.create(
    {
      ...{ serialNumber: serial.toString(16).padStart(4, '0'), subject: request.subjectName, issuer: ca.certificate.subject },
      ...{ publicKey: request.publicKey, signingKey: ca.keys.privateKey, signingAlgorithm: ALGORITHM, ...term(durationMs), extensions },
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

/** From now, in whole seconds, as cert-manager does. */
function term(durationMs = 30 * 86_400_000): { notBefore: Date; notAfter: Date } {
  const now = Math.floor(Date.now() / 1000) * 1000;
  return { notBefore: new Date(now), notAfter: new Date(now + durationMs) };
}
