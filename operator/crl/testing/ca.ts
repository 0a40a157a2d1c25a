// A CA as the openssl command makes it, and certificates of it.
import { join } from 'node:path';
import type { OpenSsl } from '../../identity/testing/openssl.ts';
import { type Authority, isProblem, readAuthority } from '../authority.ts';

export const KEYS = {
  'P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'P-521': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  RSA: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  Ed25519: ['-algorithm', 'ED25519'],
} as const;

export type Ca = { certificatePem: string; keyPem: string /** Path of the certificate. */; file: string; keyFile: string };

export function makeCa(ssl: OpenSsl, key: readonly string[], { usage = 'keyCertSign,cRLSign', name = '/O=Fleet/CN=Site CA' } = {}): Ca {
  const keyFile = ssl.key(...key);
  const extensions = ['-addext', `keyUsage=critical,${usage}`];
  const certificatePem = ssl.run(['req', '-x509', '-new', '-key', keyFile, '-subj', name, '-days', '30', ...extensions]).toString();
  return { certificatePem, keyPem: ssl.file(keyFile), file: join(ssl.dir, ssl.write(certificatePem)), keyFile };
}

export function authorityOf(ca: Pick<Ca, 'certificatePem' | 'keyPem'>): Authority {
  const read = readAuthority(ca.certificatePem, ca.keyPem);
  if (isProblem(read)) throw new Error(read.code);
  return read;
}

/** The path of a device's certificate with this serial number (hex), signed by the CA. */
export function makeLeaf(ssl: OpenSsl, ca: Ca, serial: string, extensions = 'basicConstraints=critical,CA:FALSE\n'): string {
  const [request, config] = [ssl.write(ssl.request()), ssl.write(extensions)];
  const signer = ['-CA', ca.file, '-CAkey', ca.keyFile, '-set_serial', `0x${serial}`];
  return join(ssl.dir, ssl.write(ssl.run(['x509', '-req', '-in', request, ...signer, '-days', '10', '-extfile', config]).toString()));
}

/** openssl's word about a certificate under this CRL: `OK`, or the reason. */
export function verdict(ssl: OpenSsl, ca: Ca, crlPem: Buffer, leafFile: string): string {
  const crl = ssl.write(crlPem.toString('latin1'));
  try {
    return ssl.run(['verify', '-crl_check', '-CAfile', ca.file, '-CRLfile', crl, leafFile]).toString().includes(': OK')
      ? 'OK'
      : 'no answer';
  } catch (error) {
    const text = String((error as { stderr?: Buffer }).stderr);
    return /error \d+ at \d+ depth lookup: (.*)/.exec(text)?.[1] ?? text;
  }
}
