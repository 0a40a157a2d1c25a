// Each step against an API server in memory: what it leaves behind, and that it is harmless when it was taken before or when somebody else was quicker.
import { beforeEach, describe, expect, it } from 'vitest';
import { CERTIFICATE_REQUESTS, CERTIFICATES, DEVICES } from '../api/resources.ts';
import { KubeError } from '../kube/errors.ts';
import type { KubeObject } from '../kube/object.ts';
import { noKubeMetrics } from '../kube/ports.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { seededRandom } from '../runtime/random.ts';
import { CertificateLedgerLog } from './ledger.ts';
import { desiredCertificate, type ManagedFacts, managedFacts } from './managed-facts.ts';
import { type CertificateRequest, requestFacts } from './request-facts.ts';
import { createRequests, type Requests } from './requests.ts';
import { type Signer, signerOf } from './signer.ts';
import { type StepContext, takeStep } from './steps.ts';
import type { Subject } from './subject.ts';
import { issue, makeCsr, makeRoot } from './testing/authority.ts';
import { FakeCluster } from './testing/fake-cluster.ts';
import { device, HOUR, ISSUER, managedRequest, NOW, request, SELF } from './testing/scene.ts';

const csr = await makeCsr();
const gatewayCsr = await makeCsr({ device: 'gateway-1', segment: 'gateways' });
const certificate = await issue(csr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });
const fresh = device({ identity: { csr } });
const gateway = device({ name: 'gateway-1', uid: 'uid-g1', segment: 'gateways', identity: { enrollment: 'Managed' } });
const ours = request(fresh);

let clock: FakeClock;
let cluster: FakeCluster;
let ledger: CertificateLedgerLog;
let requests: Requests;
let noted: ManagedFacts | undefined;

beforeEach(async () => {
  clock = new FakeClock(NOW + 123);
  cluster = new FakeCluster(clock, () => '');
  const client = cluster.client({ alive: true });
  ledger = new CertificateLedgerLog({ client, namespace: 'hedgerow', clock, log: silentLog, lingerMs: 0 });
  await ledger.load();
  // Nothing is watched here: what a step knows, it knows from its own calls.
  requests = createRequests({ client, clock, random: seededRandom(1), log: silentLog, metrics: noKubeMetrics }, () => undefined);
  noted = undefined;
  announced.length = 0;
});
const announced: string[] = [];

type Step = Parameters<typeof takeStep>[0];
async function take(step: Step, context: Partial<StepContext> = {}): ReturnType<typeof takeStep> {
  const deps = {
    client: cluster.client({ alive: true }),
    clock,
    ledger,
    requests,
    announce: async (signer: Signer) => void announced.push(signer.id),
    noteCertificate: (facts: ManagedFacts) => {
      noted = facts;
    },
  };
  let ended = false;
  const taking = takeStep(
    step,
    { device: fresh, issuer: ISSUER, managed: undefined, by: 'alice', rotation: undefined, signal: undefined, ...context },
    deps,
  );
  const done = taking.finally(() => {
    ended = true;
  });
  done.catch(() => undefined);
  for (let i = 0; i < 100 && !ended; i++) await clock.advance(10);
  return await done;
}

const stored = <T = CertificateRequest>(plural: string, name: string): T | undefined =>
  cluster.api.objects.get(`${plural}/berlin/${name}`) as unknown as T | undefined;
const storedRequest = (name = ours.name) => stored('certificaterequests', name);
const change = (patch: object) => cluster.api.mergePatch(CERTIFICATE_REQUESTS, { namespace: 'berlin', name: ours.name }, patch);
const newMetadata = () => ({
  name: ours.name,
  namespace: 'berlin',
  ownerReferences: [{ apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', name: fresh.name, uid: fresh.uid, controller: true }],
});
const known = () => requests.ownedBy(fresh.uid).map((r) => r.state);

describe('create', () => {
  it('makes the request and knows it at once, without waiting for a watch', async () => {
    expect(await take({ do: 'create', attempt: 1 })).toBe('taken');
    expect(storedRequest()?.spec.username).toBe(SELF);
    expect(known()).toEqual(['new']);
  });

  it('taken twice finds what it made before', async () => {
    await take({ do: 'create', attempt: 1 });
    expect(await take({ do: 'create', attempt: 1 })).toBe('taken');
    expect(known()).toEqual(['new']);
    expect(cluster.api.writes.filter((write) => write.verb === 'create')).toHaveLength(1);
  });

  it('says who has the name when it is not ours, and does not keep it', async () => {
    const foreign = { metadata: { name: ours.name, namespace: 'berlin' }, spec: { request: 'AAAA', issuerRef: { name: 'x' } } };
    await cluster.api.create(CERTIFICATE_REQUESTS, foreign as CertificateRequest);
    expect(await take({ do: 'create', attempt: 1 })).toMatchObject({ nameTaker: { name: ours.name, owner: undefined } });
    expect(known()).toEqual([]);
  });

  it('does not keep one either that claims to be ours and that no watch would ever show to be gone', async () => {
    const claims = { metadata: { ...newMetadata(), labels: {} }, spec: { request: 'AAAA', issuerRef: { name: 'x' } } };
    await cluster.api.create(CERTIFICATE_REQUESTS, claims as CertificateRequest);
    expect(await take({ do: 'create', attempt: 1 })).toMatchObject({ nameTaker: { name: ours.name, owner: { uid: fresh.uid } } });
    expect(known()).toEqual([]);
  });

  it('is tried again later when the API server does not answer', async () => {
    cluster.api.faults = () => ({ when: 'before' });
    await expect(take({ do: 'create', attempt: 1 })).rejects.toThrow(KubeError);
    cluster.api.faults = () => ({ when: 'after' });
    await expect(take({ do: 'create', attempt: 1 })).rejects.toThrow(KubeError);
    cluster.api.faults = () => undefined;
    expect(await take({ do: 'create', attempt: 1 })).toBe('taken');
    expect(known()).toEqual(['new']);
  });
});

describe('approve', () => {
  beforeEach(() => take({ do: 'create', attempt: 1 }));
  const approve = () => take({ do: 'approve', request: requestFacts(storedRequest() as CertificateRequest) });

  it('adds the condition with a time of whole seconds: with a fraction cert-manager could never write its answer', async () => {
    await approve();
    expect(storedRequest()?.status?.conditions).toEqual([
      {
        type: 'Approved',
        status: 'True',
        reason: 'hedgerow.dev',
        message: 'requested by Hedgerow for Device thermo-17',
        lastTransitionTime: new Date(Math.floor(clock.now() / 1000) * 1000).toISOString().replace('.000', ''),
      },
    ]);
    expect(known()).toEqual(['approved']);
  });

  it('does not write over what somebody wrote meanwhile, and looks again', async () => {
    const seen = requestFacts(storedRequest() as CertificateRequest);
    const denied = { type: 'Denied', status: 'True', reason: 'Policy', message: 'no', lastTransitionTime: '2026-03-01T00:00:00Z' };
    await change({ status: { conditions: [denied] } });
    expect(await take({ do: 'approve', request: seen })).toBe('taken');
    expect(storedRequest()?.status?.conditions).toEqual([denied]);
    expect(known()).toEqual(['denied']);
  });

  it('forgets a request that was deleted meanwhile', async () => {
    const seen = requestFacts(storedRequest() as CertificateRequest);
    await cluster.api.delete(CERTIFICATE_REQUESTS, { namespace: 'berlin', name: ours.name });
    expect(await take({ do: 'approve', request: seen })).toBe('taken');
    expect(known()).toEqual([]);
  });
});

describe('delete', () => {
  beforeEach(() => take({ do: 'create', attempt: 1 }));
  const seen = () => requestFacts(storedRequest() as CertificateRequest);

  it('removes the request, and is harmless when it is gone', async () => {
    const facts = seen();
    await take({ do: 'delete', request: facts });
    await take({ do: 'delete', request: facts });
    expect(storedRequest()).toBeUndefined();
    expect(known()).toEqual([]);
  });

  it('leaves another object of the same name alone', async () => {
    const facts = { ...seen(), uid: 'an older one' };
    await take({ do: 'delete', request: facts });
    expect(storedRequest()).toBeDefined();
  });

  it('does not remove an approved one that was signed meanwhile, and sees the certificate', async () => {
    const approved = { type: 'Approved', status: 'True', reason: 'R', message: 'm', lastTransitionTime: '2026-03-01T00:00:00Z' };
    await change({ status: { conditions: [approved] } });
    const facts = seen();
    await change({ status: { certificate: 'QQ==', conditions: [approved, { ...approved, type: 'Ready' }] } });
    expect(await take({ do: 'delete', request: facts })).toBe('taken');
    expect(known()).toEqual(['issued']);
  });
});

describe('record and revoke', () => {
  const issued = request(fresh, { state: 'issued', certificate });

  it('write one entry, however often they are taken, and revoke it under the name of whoever asked', async () => {
    await take({ do: 'record', request: issued });
    await take({ do: 'record', request: issued });
    const [entry, ...others] = [...ledger.all()];
    expect(others).toEqual([]);
    expect(entry).toMatchObject({
      device: 'thermo-17.berlin',
      deviceUid: 'uid-17',
      segment: 'office.berlin',
      issuer: 'Issuer/berlin/site-ca',
      via: 'CSR',
    });
    await take({ do: 'revoke', ids: [entry?.id ?? ''], reason: 'Revoked' });
    expect([...ledger.all()][0]?.revoked).toMatchObject({ reason: 'Revoked', by: 'alice' });
  });

  it('put the certificate in the place of the key that was written down before the approval', async () => {
    const asked = managedRequest(gateway, gatewayCsr);
    const spki = (await ledgerKey(asked.pem)) ?? '';
    await take({ do: 'recordKey', request: asked, spki }, { device: gateway });
    const pending = ledger.pending()[0];
    expect(pending).toMatchObject({ device: 'gateway-1.berlin', spki, via: 'Managed' });
    // As long as any certificate for this approval could be valid.
    expect(Date.parse(pending?.notAfter ?? '')).toBeGreaterThanOrEqual(NOW + 720 * HOUR);
    const signed = await issue(gatewayCsr, { notBefore: NOW, notAfter: NOW + 720 * HOUR });
    const step = {
      do: 'record',
      request: managedRequest(gateway, gatewayCsr, { state: 'issued', certificate: signed }),
      pendingId: pending?.id ?? '',
    } as const;
    await take(step, { device: gateway });
    expect(ledger.pending()).toEqual([]);
    expect([...ledger.all()][0]).toMatchObject({ device: 'gateway-1.berlin', spki, via: 'Managed', segment: 'gateways.berlin' });
  });

  it('write down which CA signed, as the signature tells, and put it into the bundle', async () => {
    const root = await makeRoot();
    const signed = await issue(csr, { notBefore: NOW, notAfter: NOW + 720 * HOUR, by: root });
    const ca = signerOf(signed, root.pem)?.id;
    const withCa = (pem: string) =>
      request(fresh, { state: 'issued', certificate: signed, change: (o) => Object.assign(o.status ?? {}, { ca: base64(pem) }) });
    await take({ do: 'announce', request: withCa(root.pem) });
    expect(announced).toEqual([ca]);
    await take({ do: 'record', request: withCa(root.pem) });
    expect([...ledger.all()].map((entry) => entry.ca)).toEqual([ca]);
    await take({ do: 'record', request: withCa((await makeRoot()).pem) });
    expect([...ledger.all()]).toHaveLength(1);
  });

  it('refuse to record what does not read', async () => {
    const junk = request(fresh, { state: 'issued', certificate: 'junk' });
    await expect(take({ do: 'record', request: junk })).rejects.toThrow('does not read');
  });

  async function ledgerKey(pem: string): Promise<string | undefined> {
    const facts = device({ name: 'gateway-1', segment: 'gateways', identity: { csr: pem } });
    return facts.csr?.spki;
  }
});

describe('the Certificate of a Managed device', () => {
  const desired = desiredCertificate(gateway, gateway.subject as Subject, ISSUER.ref);
  const apply = () => take({ do: 'applyCertificate' }, { device: gateway });
  const spec = () => stored<KubeObject & { spec: object }>('certificates', 'gateway-1')?.spec;

  it('is made, and known at once', async () => {
    await apply();
    expect(spec()).toEqual(desired.spec);
    expect(noted).toMatchObject({ name: 'gateway-1', ownerUid: 'uid-g1' });
  });

  it('costs no second write', async () => {
    await apply();
    const before = cluster.api.writes.length;
    await apply();
    expect(cluster.api.writes).toHaveLength(before);
  });

  it('loses a name that somebody added by another field manager', async () => {
    await apply();
    await cluster.api.mergePatch(CERTIFICATES, { namespace: 'berlin', name: 'gateway-1' }, { spec: { dnsNames: ['broker.example.org'] } });
    await apply();
    expect(spec()).toEqual(desired.spec);
  });

  it('is left alone when it belongs to somebody else', async () => {
    const theirs = { metadata: { name: 'gateway-1', namespace: 'berlin' }, spec: { secretName: 'theirs' } };
    await cluster.api.create(CERTIFICATES, theirs as KubeObject);
    await apply();
    expect(spec()).toEqual({ secretName: 'theirs' });
    expect(noted?.ownerUid).toBeUndefined();
  });

  it('is made anew by the condition that cmctl renew sets, beside the conditions that are there', async () => {
    await apply();
    await cluster.api.mergePatch(
      CERTIFICATES,
      { namespace: 'berlin', name: 'gateway-1' },
      { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    );
    const live = managedFacts(stored('certificates', 'gateway-1') as never);
    await take({ do: 'reissue' }, { device: gateway, managed: live });
    expect(noted).toMatchObject({ ready: true, issuing: true });
    // Somebody was quicker: nothing is written over.
    await take({ do: 'reissue' }, { device: gateway, managed: { ...live, conditions: [] } });
    expect(noted).toMatchObject({ ready: true, issuing: true });
  });
});

describe('look', () => {
  const exists = (certificate?: string) =>
    cluster.api.create(DEVICES, {
      metadata: { name: 'thermo-17', namespace: 'berlin', uid: 'uid-17' },
      ...(certificate === undefined ? {} : { status: { certificate } }),
    } as KubeObject);

  it('finds requests that the watch has not shown', async () => {
    await exists();
    const live = { ...(await newLive()), status: { certificate: 'QQ==' } };
    await cluster.api.create(CERTIFICATE_REQUESTS, live);
    expect(known()).toEqual([]);
    expect(await take({ do: 'look' })).toBe('taken');
    expect(known()).toEqual(['new']);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['when the Device has a certificate that the cache does not show', () => exists(certificate)],
    [
      'when the Device is another one',
      () => cluster.api.create(DEVICES, { metadata: { name: 'thermo-17', namespace: 'berlin', uid: 'new' } }),
    ],
    ['when the Device is gone', async () => undefined],
  ])('says that the cache is behind %s', async (_name, prepare) => {
    await prepare();
    expect(await take({ do: 'look' })).toBe('behind');
  });

  it('leaves the requests of other Devices out', async () => {
    await exists();
    const live = await newLive();
    await cluster.api.create(CERTIFICATE_REQUESTS, {
      ...live,
      metadata: { ...live.metadata, name: 'x', ownerReferences: [{ ...certificateOwner(), uid: 'other' }] },
    });
    await take({ do: 'look' });
    expect(known()).toEqual([]);
  });

  async function newLive(): Promise<CertificateRequest> {
    await take({ do: 'create', attempt: 1 });
    const live = structuredClone(storedRequest()) as CertificateRequest;
    const [facts] = requests.ownedBy(fresh.uid);
    await cluster.api.delete(CERTIFICATE_REQUESTS, { namespace: 'berlin', name: ours.name });
    if (facts !== undefined) requests.forget(facts);
    return { ...live, metadata: { ...live.metadata, uid: 'again' } };
  }
  const certificateOwner = () => ({ apiVersion: 'x', kind: 'Device', name: 'other', controller: true });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');
