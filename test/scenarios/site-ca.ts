// Certificates that a site's own CA signed and Hedgerow did not ask for: what a stolen CA key, or a careless second use of that CA, brings to the broker.
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto';
import { ExtendedKeyUsageExtension, Name, PemConverter, X509Certificate, X509CertificateGenerator } from '@peculiar/x509';
import { SECRETS } from '../../operator/api/resources.ts';
import type { KubeObject } from '../../operator/kube/object.ts';
import { type Rdn, type StringKind, subjectDer } from '../broker/testing/subject-der.ts';
import type { Scene } from './scene.ts';

export type Forged = { certificatePem: string; privateKeyPem: string };

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const HOUR_MS = 3_600_000;

/** Signs any subject with the key that cert-manager keeps for the devices of this site. */
export async function siteCa(scene: Scene, site: string): Promise<(subject: readonly Rdn[], kind?: StringKind) => Promise<Forged>> {
  const secret = await scene.api.get<KubeObject & { data: Record<string, string> }>(SECRETS, {
    name: 'hedgerow-devices-ca',
    namespace: site,
  });
  const pem = (name: string): string => Buffer.from(secret?.data[name] ?? '', 'base64').toString('utf8');
  const issuer = new X509Certificate(pem('tls.crt'));
  const pkcs8 = createPrivateKey(pem('tls.key')).export({ format: 'der', type: 'pkcs8' });
  const signingKey = await webcrypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), ALGORITHM, false, ['sign']);
  return async (subject, kind) => {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.create(
      {
        serialNumber: `01${randomBytes(15).toString('hex')}`,
        subject: new Name(subjectDer(subject, kind)),
        issuer: issuer.subject,
        notBefore: new Date(Date.now() - HOUR_MS),
        notAfter: new Date(Date.now() + HOUR_MS),
        publicKey: keys.publicKey,
        signingKey,
        signingAlgorithm: ALGORITHM,
        extensions: [new ExtendedKeyUsageExtension([CLIENT_AUTH])],
      },
      webcrypto,
    );
    const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { certificatePem: certificate.toString('pem'), privateKeyPem: PemConverter.encode(key, 'PRIVATE KEY') };
  };
}
