// A driver's request for a certificate as it should be, and what may differ.
import { createHash } from 'node:crypto';
import { rolloutClient, siteUri } from '../../api/names.ts';
import { CERTIFICATE_REQUESTS } from '../../api/resources.ts';
import type { DriverTerms } from '../decide-driver.ts';
import { type DriverCertificateKind, driverRequestName, driverSubject } from '../driver-certificate.ts';
import { newCsr, newKey, newUriCsr } from '../new-csr.ts';
import type { CertificateRequest } from '../request-facts.ts';
import { iso, NOW } from './scene.ts';

export const DRIVER = 'system:serviceaccount:hedgerow-system:hedgerow-rollout';
export const WAVE = { name: 'pump-2-0', namespace: 'berlin', uid: '6f9619ff-8b86-d011-b42d-00c04fc964ff' } as const;
export const TERMS: DriverTerms = {
  namespace: 'hedgerow-system',
  user: DRIVER,
  issuers: { mqtt: 'ClusterIssuer//devices', directive: 'Issuer/hedgerow-system/directives' },
};

export const waveObject = (phase = 'Running') => ({
  apiVersion: 'hedgerow.dev/v1alpha1',
  kind: 'FirmwareWave',
  metadata: { ...WAVE, resourceVersion: '1', generation: 2 },
  spec: { shards: 2 },
  status: { phase, observedGeneration: 2 },
});

export function driverCsr(kind: DriverCertificateKind): string {
  const key = newKey();
  if (kind === 'directive') return newUriCsr(siteUri(WAVE.namespace), key);
  const spki = createHash('sha256')
    .update(key.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return newCsr(driverSubject(rolloutClient(spki)), key);
}

export function driverRequest(kind: DriverCertificateKind, csr = driverCsr(kind)): CertificateRequest {
  const issuerRef =
    kind === 'mqtt'
      ? { kind: 'ClusterIssuer', name: 'devices', group: 'cert-manager.io' }
      : { kind: 'Issuer', name: 'directives', group: 'cert-manager.io' };
  return {
    apiVersion: 'cert-manager.io/v1',
    kind: CERTIFICATE_REQUESTS.kind,
    metadata: {
      name: driverRequestName(WAVE.uid, 1, kind),
      namespace: TERMS.namespace,
      uid: `uid-${kind}`,
      creationTimestamp: iso(NOW),
      labels: { 'hedgerow.dev/driver-certificate': kind, 'hedgerow.dev/wave-uid': WAVE.uid },
      annotations: { 'hedgerow.dev/wave': `${WAVE.namespace}/${WAVE.name}` },
    },
    spec: {
      request: Buffer.from(csr).toString('base64'),
      issuerRef,
      duration: '168h0m0s',
      usages: kind === 'mqtt' ? ['digital signature', 'client auth'] : ['digital signature', 'code signing'],
      username: DRIVER,
    },
  };
}
