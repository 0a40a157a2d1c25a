import { X509Certificate } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { ROLLOUT_SEGMENT, rolloutClient, siteUri } from '../api/names.ts';
import { CERTIFICATE_REQUESTS } from '../api/resources.ts';
import { FakeClock } from '../runtime/clock.ts';
import { type DriverWish, driverRequestName, obtainDirectiveKey, obtainDriverCertificate } from './driver-certificate.ts';
import type { CertificateRequest } from './request-facts.ts';
import { issue, makeCsr, type Signing } from './testing/authority.ts';
import { FakeApi } from './testing/fake-api.ts';
import { readCertificate } from './x509.ts';

const wish: DriverWish = {
  namespace: 'hedgerow-system',
  wave: { namespace: 'berlin', name: 'pump-2-0', uid: '6f9619ff-8b86-d011-b42d-00c04fc964ff' },
  shard: 3,
  issuer: { kind: 'ClusterIssuer', name: 'devices' },
};
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

const foreign = await makeCsr();

let api: FakeApi;
let clock: FakeClock;
/** What the issuer changes of what it was asked for. */
let twist: Partial<Signing>;
let requests: CertificateRequest[];

beforeEach(() => {
  api = new FakeApi();
  clock = new FakeClock();
  twist = {};
  requests = [];
});

/** Plays operator and cert-manager until the call has ended. */
async function played<T>(call: Promise<T>): Promise<T> {
  let over = false;
  const made = call.finally(() => {
    over = true;
  });
  made.catch(() => undefined);
  while (!over) {
    for (const request of await api.list<CertificateRequest>(CERTIFICATE_REQUESTS)) if (request.status === undefined) await sign(request);
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(250);
  }
  return made;
}
async function sign(request: CertificateRequest): Promise<void> {
  requests.push(request);
  const csr = Buffer.from(request.spec.request, 'base64').toString('latin1');
  const signsCode = request.spec.usages?.includes('code signing') === true;
  const how = signsCode ? { usages: [CODE_SIGNING], uris: [siteUri('berlin')] } : {};
  const pem = await issue(csr, { notBefore: clock.now() - 1000, notAfter: clock.now() + 7 * 86_400_000, ...how, ...twist });
  const conditions = [{ type: 'Ready', status: 'True', reason: 'Issued', message: '' }];
  const status = { certificate: Buffer.from(pem).toString('base64'), conditions };
  const { name = '', namespace = '' } = request.metadata;
  await api.mergePatch(CERTIFICATE_REQUESTS, { name, namespace }, { status }, { subresource: 'status' });
}
const stop = new AbortController().signal;
const mqtt = (over: Partial<DriverWish> = {}) => played(obtainDriverCertificate({ ...wish, ...over }, { client: api, clock }, stop));
const directive = (over: Partial<DriverWish> = {}) => played(obtainDirectiveKey({ ...wish, ...over }, { client: api, clock }, stop));
const left = () => api.list<CertificateRequest>(CERTIFICATE_REQUESTS);

describe('the MQTT certificate of a driver', () => {
  it('has the segment of drivers and a client id that is bound to its key; it is asked for and not approved, and its request stays', async () => {
    const own = await mqtt();
    const certificate = new X509Certificate(own.certificate);
    expect(certificate.subject).toBe(`O=hedgerow\nOU=${ROLLOUT_SEGMENT}\nCN=${own.clientId}`);
    expect(own.clientId).toBe(rolloutClient(readCertificate(own.certificate)?.spki ?? ''));
    expect(certificate.checkPrivateKey(own.key)).toBe(true);
    expect([own.md5, own.notAfterMs]).toEqual([readCertificate(own.certificate)?.md5, Date.parse(certificate.validTo)]);
    expect(requests[0]?.metadata).toMatchObject({
      namespace: 'hedgerow-system',
      labels: { 'hedgerow.dev/driver-certificate': 'mqtt', 'hedgerow.dev/wave-uid': wish.wave.uid },
      annotations: { 'hedgerow.dev/wave': 'berlin/pump-2-0' },
    });
    // One patch is the issuer's: none of them approves.
    expect(api.writes.map(({ verb }) => verb)).toEqual(['create', 'patch']);
    expect(await left()).toHaveLength(1);
    expect(JSON.stringify([...api.objects.values()])).not.toContain('PRIVATE');
    await own.remove(stop);
    expect(await left()).toEqual([]);
  });

  it('takes the place of the one before, which then has no request any more; other shards, waves and keys keep theirs', async () => {
    const first = await mqtt();
    const others = [await mqtt({ shard: 4 }), await mqtt({ wave: { ...wish.wave, uid: 'another' } })];
    const second = await mqtt();
    expect(new Set([first, second, ...others].map(({ clientId }) => clientId)).size).toBe(4);
    expect((await left()).map(({ metadata }) => metadata.name).sort()).toEqual(
      [
        driverRequestName(wish.wave.uid, 3, 'mqtt'),
        driverRequestName(wish.wave.uid, 4, 'mqtt'),
        driverRequestName('another', 3, 'mqtt'),
      ].sort(),
    );
    // Whoever was taken over from removes its own and nothing else.
    await first.remove(stop);
    expect(await left()).toHaveLength(3);
  });

  it('leaves a request of somebody else alone', async () => {
    const metadata = { name: driverRequestName(wish.wave.uid, 3, 'mqtt'), namespace: wish.namespace };
    await api.create(CERTIFICATE_REQUESTS, { metadata, spec: { request: '', issuerRef: { name: 'x' } }, status: {} } as never);
    await expect(mqtt()).rejects.toThrow("is somebody else's");
    expect(await left()).toHaveLength(1);
  });

  it.each<[string, Partial<Signing>, string]>([
    ['another subject', { subject: [['CN', 'thermo-17.berlin']] }, 'its subject is another one'],
    ['another key', { keyOf: foreign }, 'its public key is another one'],
    ['a CA', { isCa: true }, 'it is a CA certificate'],
    ['other usages', { usages: [CODE_SIGNING] }, 'usages'],
    ['for longer', { notAfter: new FakeClock().now() + 9 * 86_400_000 }, 'longer than was asked'],
  ])('is none when the issuer signs %s; the request goes', async (_what, how, message) => {
    twist = how;
    await expect(mqtt()).rejects.toThrow(message);
    expect(await left()).toEqual([]);
  });
});

describe('the directive key of a driver', () => {
  it('is one that signs directives for the site of the wave; nothing of its request is left', async () => {
    const own = await directive();
    const certificate = new X509Certificate(own.certificate);
    expect([certificate.subjectAltName, certificate.keyUsage]).toEqual([`URI:${siteUri('berlin')}`, [CODE_SIGNING]]);
    expect(certificate.checkPrivateKey(own.key)).toBe(true);
    expect(own.notAfterMs).toBe(Date.parse(certificate.validTo));
    expect(requests[0]?.spec).toMatchObject({
      usages: ['digital signature', 'code signing'],
      issuerRef: { kind: 'ClusterIssuer', name: 'devices', group: 'cert-manager.io' },
    });
    expect(await left()).toEqual([]);
    expect(JSON.stringify([...api.objects.values()])).not.toContain('PRIVATE');
  });

  it('is another one each time', async () => {
    expect((await directive()).certificate).not.toBe((await directive()).certificate);
  });

  it.each<[string, Partial<Signing>, string]>([
    ['another site', { uris: [siteUri('paris')] }, 'not for exactly the site'],
    ['a second site', { uris: [siteUri('berlin'), siteUri('paris')] }, 'not for exactly the site'],
    ['another key', { keyOf: foreign }, 'its public key is another one'],
    ['a CA', { isCa: true }, 'it is a CA certificate'],
    ['no code signing', { usages: ['1.3.6.1.5.5.7.3.2'] }, 'usage'],
    ['client auth beside it', { usages: [CODE_SIGNING, '1.3.6.1.5.5.7.3.2'] }, 'usage'],
    ['the past', { notAfter: new FakeClock().now() - 500 }, 'expired'],
    ['the future', { notBefore: new FakeClock().now() + 3_600_000 }, 'not valid yet'],
    ['for longer', { notAfter: new FakeClock().now() + 9 * 86_400_000 }, 'longer than was asked'],
  ])('is none when the issuer signs %s; the request goes', async (_what, how, message) => {
    twist = how;
    await expect(directive()).rejects.toThrow(message);
    expect(await left()).toEqual([]);
  });
});
