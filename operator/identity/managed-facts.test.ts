import { describe, expect, it } from 'vitest';
import { type Certificate, desiredCertificate, isAsDesired, managedFacts } from './managed-facts.ts';
import { managedRenewBeforeMs } from './renewal.ts';
import { durationText } from './request-facts.ts';
import type { Subject } from './subject.ts';
import { device, ISSUER } from './testing/scene.ts';

const gateway = device({ name: 'gateway-1', uid: 'uid-g1', segment: 'gateways', identity: { enrollment: 'Managed' } });
const desired = desiredCertificate(gateway, gateway.subject as Subject, ISSUER.ref);

describe('the Certificate of a Managed device', () => {
  it('holds the dictated subject and nothing that could become another name', () => {
    expect(desired.spec).toEqual({
      secretName: 'gateway-1-tls',
      commonName: 'gateway-1.berlin',
      subject: { organizations: ['hedgerow'], organizationalUnits: ['gateways.berlin'] },
      privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Always' },
      usages: ['digital signature', 'client auth'],
      duration: '720h0m0s',
      // The fleet is spread: 240h and up to a tenth of the 480h before that, the same at each look.
      renewBefore: durationText(managedRenewBeforeMs(gateway)),
      revisionHistoryLimit: 1,
      isCA: false,
      issuerRef: { name: 'site-ca', kind: 'Issuer', group: 'cert-manager.io' },
    });
    expect(desired.metadata.ownerReferences).toEqual([
      { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', name: 'gateway-1', uid: 'uid-g1', controller: true },
    ]);
  });

  it.each<[string, object]>([
    ['a host name', { dnsNames: ['broker'] }],
    ['an e-mail address', { emailAddresses: ['a@b.c'] }],
    ['a literal subject', { literalSubject: 'CN=x' }],
    ['other usages', { usages: ['digital signature', 'client auth', 'server auth'] }],
    ['fewer usages', { usages: ['client auth'] }],
    ['a second unit', { subject: { organizations: ['hedgerow'], organizationalUnits: ['gateways.berlin', 'x'] } }],
    ['a CA', { isCA: true }],
    ['a key that is kept', { privateKey: { algorithm: 'ECDSA', size: 256, rotationPolicy: 'Never' } }],
    ['another issuer', { issuerRef: { name: 'other', kind: 'Issuer', group: 'cert-manager.io' } }],
    ['another Secret', { secretName: 'x' }],
  ])('is not as desired with %s', (_name, change) => {
    expect(isAsDesired(managedFacts({ ...desired, spec: { ...desired.spec, ...change } }), desired)).toBe(false);
  });

  it('is as desired when the server added defaults inside what we set', () => {
    const spec = { ...desired.spec, privateKey: { ...(desired.spec.privateKey as object), encoding: 'PKCS1' } };
    expect(isAsDesired(managedFacts({ ...desired, spec }), desired)).toBe(true);
  });

  it('belongs to the Device that controls it and to no other kind of owner', () => {
    const owned = (kind: string, controller: boolean): Certificate => ({
      ...desired,
      metadata: { ...desired.metadata, ownerReferences: [{ apiVersion: 'x', kind, name: 'gateway-1', uid: 'u', controller }] },
    });
    expect(managedFacts(owned('Device', true)).ownerUid).toBe('u');
    expect(managedFacts(owned('Device', false)).ownerUid).toBeUndefined();
    expect(managedFacts(owned('Deployment', true)).ownerUid).toBeUndefined();
  });

  it('is ready and issuing as its conditions say', () => {
    const condition = (type: string, status: 'True' | 'False', message: string) => ({
      type,
      status,
      reason: 'R',
      message,
      lastTransitionTime: 't',
    });
    const facts = managedFacts({
      ...desired,
      status: { conditions: [condition('Ready', 'False', 'not yet'), condition('Issuing', 'True', 'working')] },
    });
    expect(facts).toMatchObject({ ready: false, issuing: true, message: 'working' });
    expect(managedFacts(desired)).toMatchObject({ ready: false, issuing: false, message: '' });
  });
});
