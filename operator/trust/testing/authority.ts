// CA certificates and signing keys for tests: made by openssl, so that our own code reads what somebody else wrote.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';

const P256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];

/** PEM of a self-signed certificate; `ca: false` for one that may not sign. */
export function certificate(name: string, o: { ca?: boolean; days?: number } = {}): string {
  const constraints = `basicConstraints=critical,CA:${o.ca === false ? 'FALSE' : 'TRUE'}`;
  const args = ['req', '-x509', ...P256, '-subj', `/CN=${name}`, '-days', String(o.days ?? 30), '-addext', constraints];
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
}

/** PEM. */
export function signingKey(): { privateKey: string; publicKey: string } {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}
