import { describe, expect, it } from 'vitest';
import { decide, type Input } from './decide.ts';
import { type LedgerEntry, type PendingEntry, pendingEntryId } from './ledger-entry.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { certificateOf, device, entry, HOUR, ISSUER, input, iso, managedRequest, NOW, said } from './testing/scene.ts';

const csr = await makeCsr({ device: 'gateway-1', segment: 'gateways' });
const secondCsr = await makeCsr({ device: 'gateway-1', segment: 'gateways' });
const otherCsr = await makeCsr();
const lifetime = { notBefore: NOW - HOUR, notAfter: NOW + 719 * HOUR };
const certificate = await issue(csr, lifetime);

const managed = (identity: object = {}) =>
  device({ name: 'gateway-1', uid: 'uid-g1', segment: 'gateways', identity: { enrollment: 'Managed', ...identity } });
const gateway = managed();
const asked = managedRequest(gateway, csr);
const issued = managedRequest(gateway, csr, { state: 'issued', certificate });
const recorded = entry(gateway, certificate, { via: 'Managed' });
const revoked = (e: LedgerEntry): LedgerEntry => ({ ...e, revoked: { at: iso(NOW), reason: 'Revoked', by: 'alice' } });
const pending = (deviceUid = gateway.uid): PendingEntry => ({
  id: pendingEntryId(recorded.spki),
  pending: true,
  device: 'gateway-1.berlin',
  deviceUid,
  segment: recorded.segment,
  issuer: recorded.issuer,
  spki: recorded.spki,
  notAfter: recorded.notAfter,
  via: 'Managed',
});

const certificateThere = certificateOf(gateway, { ready: false, issuing: true });
const ready = certificateOf(gateway, { ready: true, issuing: false });
const scene = (change: Parameters<typeof input>[1] = {}): Input => input(gateway, { managed: certificateThere, ...change });
const changed = (spec: object): Parameters<typeof managedRequest>[2] => ({ change: (object) => Object.assign(object.spec, spec) });

describe('a device whose key cert-manager makes', () => {
  it.each<[string, Input, string]>([
    ['without anything yet gets a Certificate', input(gateway), 'applyCertificate'],
    [
      'whose Certificate was changed by hand gets it back',
      scene({ managed: certificateOf(gateway, { change: (o) => Object.assign(o.spec, { dnsNames: ['broker'] }) }) }),
      'applyCertificate',
    ],
    [
      'whose segment changed has its Certificate changed',
      input(device({ name: 'gateway-1', uid: 'uid-g1', segment: 'office', identity: { enrollment: 'Managed' } }), {
        managed: certificateThere,
      }),
      'applyCertificate',
    ],
    ['has the key written down before its request is approved', scene({ requests: [asked] }), 'recordKey'],
    ['then has the request approved', scene({ requests: [asked], pendingOfKey: () => pending() }), 'approve'],
    ['waits while cert-manager works', scene(), 'waiting Issuing'],
    ['whose certificate was signed has it recorded', scene({ requests: [issued], pendingOfKey: () => pending() }), 'record'],
    ['is done when certificate, Secret and ledger agree', scene({ managed: ready, requests: [issued], entries: [recorded] }), 'done'],
    ['whose Secret holds what the ledger does not know first looks again', scene({ managed: ready, requests: [] }), 'look'],
    ['then has it made anew', scene({ managed: ready, requests: [], looked: true }), 'reissue'],
    [
      'whose certificate in the Secret was revoked has it made anew',
      scene({ managed: ready, requests: [issued], entries: [revoked(recorded)], looked: true }),
      'reissue',
    ],
    [
      'whose Certificate belongs to somebody else is told so',
      scene({ managed: certificateOf(gateway, { change: (o) => Object.assign(o.metadata, { ownerReferences: [] }) }) }),
      'stalled CertificateNameTaken',
    ],
    ['with a duration under an hour is told so', input(managed({ duration: '30m' })), 'stalled ManagedSpecInvalid'],
    ['with a renewBefore under five minutes is told so', input(managed({ renewBefore: '4m' })), 'stalled ManagedSpecInvalid'],
    [
      'with a renewBefore as long as the duration is told so',
      input(managed({ duration: '2h', renewBefore: '2h' })),
      'stalled ManagedSpecInvalid',
    ],
    ['whose serial number another has is the newcomer', scene({ firstWithSerial: 'berlin/x' }), 'stalled DuplicateSerial'],
    [
      'whose issuer does not exist is told so before anything is made',
      input(gateway, { issuer: { ...ISSUER, state: 'missing' } }),
      'stalled IssuerNotFound',
    ],
    ['whose issuer disappears later waits for a person', scene({ issuer: { ...ISSUER, state: 'missing' } }), 'stalled IssuerNotFound'],
    [
      'keeps its certificate when the issuer disappears',
      scene({ managed: ready, requests: [issued], entries: [recorded], issuer: { ...ISSUER, state: 'missing' } }),
      'done',
    ],
    ['whose issuer others may approve for is told so', scene({ openApprovers: ['alice'] }), 'stalled ApproverOpen'],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));

  it('has the newest of several certificates in its Secret', async () => {
    const renewed = await issue(secondCsr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });
    const second = managedRequest(gateway, secondCsr, { state: 'issued', certificate: renewed, revision: 2 });
    const entries = [recorded, entry(gateway, renewed, { via: 'Managed' })];
    expect(decide(scene({ managed: ready, requests: [issued, second], entries }))).toMatchObject({ answer: { entry: entries[1] } });
  });

  it('records what was signed for the segment of before a move under the segment that it names', async () => {
    const moved = device({ name: 'gateway-1', uid: 'uid-g1', segment: 'office', identity: { enrollment: 'Managed' } });
    const from = input(moved, { managed: certificateOf(moved), requests: [issued], pendingOfKey: () => pending() });
    expect(decide(from)).toEqual({ do: 'record', request: issued, pendingId: pendingEntryId(recorded.spki) });
  });
});

describe('a request for a Certificate of ours is not approved', () => {
  it.each<[string, Parameters<typeof managedRequest>[2], string]>([
    ['when cert-manager did not make it', changed({ username: 'mallory' }), 'it was made by mallory'],
    ['when it asks for a CA', changed({ isCA: true }), 'CA certificate'],
    ['when it asks for other usages', changed({ usages: ['digital signature', 'client auth', 'server auth'] }), 'other usages'],
    ['when it goes to another issuer', changed({ issuerRef: { name: 'other', kind: 'ClusterIssuer' } }), 'ClusterIssuer//other'],
    ['when it asks for more time', changed({ duration: '721h' }), 'another duration'],
    ['when it names no time', changed({ duration: undefined }), 'another duration'],
    ['when its subject is another', changed({ request: Buffer.from(otherCsr).toString('base64') }), 'HR-ID-009'],
    ['when it is no request', changed({ request: 'AAAA' }), 'HR-ID-002'],
  ])('%s', (_name, options, why) => {
    const decision = decide(scene({ requests: [managedRequest(gateway, csr, options)] }));
    expect(said(decision)).toBe('stalled ManagedRequestRefused');
    expect(decision).toMatchObject({ answer: { certified: { status: 'False', message: expect.stringContaining(why) } } });
  });

  it.each<[string, Parameters<typeof input>[1], string]>([
    ['when its key was ever revoked', { entries: [revoked(entry(device({ name: 'x', uid: 'y' }), certificate))] }, 'stalled KeyRevoked'],
    [
      'when its key is certified for another device',
      { entries: [entry(device({ name: 'x', uid: 'y' }), certificate)] },
      'stalled DuplicateKey',
    ],
    ['when its key was approved for another device', { pendingOfKey: () => pending('other') }, 'stalled DuplicateKey'],
  ])('%s', (_name, change, expected) => expect(said(decide(scene({ requests: [asked], ...change })))).toBe(expected));

  it('when it only claims to belong to the Certificate', () => {
    const other = managedRequest(gateway, csr, {
      change: (object) =>
        Object.assign(object.metadata, { ownerReferences: [{ kind: 'Certificate', name: 'gateway-1', uid: 'forged', controller: true }] }),
    });
    expect(said(decide(scene({ requests: [other] })))).toBe('waiting Issuing');
  });
});

describe('a certificate that was not made as asked', () => {
  it.each<[string, Parameters<typeof issue>[1], string]>([
    [
      'names another device',
      {
        ...lifetime,
        subject: [
          ['O', 'hedgerow'],
          ['OU', 'gateways.berlin'],
          ['CN', 'gateway-2.berlin'],
        ],
      },
      'subject',
    ],
    ['is a CA', { ...lifetime, isCa: true }, 'CA certificate'],
    ['lives longer', { notBefore: NOW, notAfter: NOW + 1000 * HOUR }, 'longer'],
  ])('stalls the device when it %s', async (_name, how, why) => {
    const odd = managedRequest(gateway, csr, { state: 'issued', certificate: await issue(csr, how) });
    const decision = decide(scene({ managed: ready, requests: [odd] }));
    expect(said(decision)).toBe('stalled CertificateNotAsAsked');
    expect(decision).toMatchObject({ answer: { outcome: { message: expect.stringContaining(why) } } });
  });
});

describe('a revoked Managed device', () => {
  const gone = { lifecycle: 'Revoked' as const };
  it.each<[string, Input, string]>([
    ['has what was signed after its revocation recorded', scene({ ...gone, requests: [issued] }), 'record'],
    ['and then revoked', scene({ ...gone, requests: [issued], entries: [recorded] }), 'revoke'],
    ['has nothing approved any more', scene({ ...gone, requests: [asked] }), 'done'],
    ['is not given another certificate', scene({ ...gone, managed: ready, requests: [issued], entries: [revoked(recorded)] }), 'done'],
  ])('%s', (_name, from, expected) => expect(said(decide(from))).toBe(expected));
});
