// A device's own key and the PKCS#10 request it makes with it. The key never leaves the device (promise 2): nothing here writes it anywhere.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { PemConverter, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';

export type DeviceIdentity = { device: string; segment: string; namespace: string };
export type DeviceKey = { privateKeyPem: string; csrPem: string };

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A fresh P-256 key and a request with the subject Hedgerow dictates: `O=hedgerow, OU=<segment>.<ns>, CN=<device>.<ns>` in this RDN order. */
export async function makeDeviceKey(who: DeviceIdentity): Promise<DeviceKey> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create(
    {
      name: [{ O: ['hedgerow'] }, { OU: [`${who.segment}.${who.namespace}`] }, { CN: [`${who.device}.${who.namespace}`] }],
      keys,
      signingAlgorithm: ALGORITHM,
    },
    webcrypto,
  );
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { privateKeyPem: PemConverter.encode(pkcs8, 'PRIVATE KEY'), csrPem: request.toString('pem') };
}
