import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CERTIFICATE_REQUESTS, FIRMWARE_WAVES } from '../api/resources.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { seededRandom } from '../runtime/random.ts';
import { createDriverApprover, type DriverApprover } from './driver-approver.ts';
import { driverFacts } from './driver-facts.ts';
import type { CertificateRequest } from './request-facts.ts';
import { issue } from './testing/authority.ts';
import { driverRequest, TERMS, WAVE, waveObject } from './testing/driver.ts';
import { FakeCluster } from './testing/fake-cluster.ts';
import { NOW } from './testing/scene.ts';
import { readCertificate } from './x509.ts';

const mqtt = driverRequest('mqtt');
const pem = await issue(Buffer.from(mqtt.spec.request, 'base64').toString(), { notBefore: NOW, notAfter: NOW + 7 * 86_400_000 });
const MD5 = readCertificate(pem)?.md5 ?? '';
const CLIENT = driverFacts(mqtt).clientId ?? '';
const REF = { name: mqtt.metadata.name ?? '', namespace: TERMS.namespace };

let clock: FakeClock;
let cluster: FakeCluster;
let stop: AbortController;
let approver: DriverApprover;
let told: number;

beforeEach(() => {
  clock = new FakeClock(NOW);
  cluster = new FakeCluster(clock, () => pem);
  start();
});
afterEach(() => stop.abort());

/** A process of the operator; the one before it is gone. */
function start(): void {
  stop?.abort();
  stop = new AbortController();
  told = 0;
  const shared = { clock, random: seededRandom(1), log: silentLog, metrics: createMetrics() };
  approver = createDriverApprover({ ...shared, client: cluster.client({ alive: true }), terms: TERMS });
  approver.onChange(() => void told++);
  for (const part of [...approver.reflectors, approver.controller]) void part.run(stop.signal);
}
async function pass(ms = 1000): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(ms / 20);
  }
}
const ask = (request: CertificateRequest): Promise<unknown> =>
  cluster.client({ alive: true }, request.spec.username).create(CERTIFICATE_REQUESTS, request);
const begin = (phase?: string): Promise<unknown> => cluster.api.create(FIRMWARE_WAVES, waveObject(phase) as never);
const shown = (): Promise<CertificateRequest | undefined> => cluster.api.get<CertificateRequest>(CERTIFICATE_REQUESTS, REF);
const conditions = async (): Promise<string[]> =>
  ((await shown())?.status?.conditions ?? []).map(({ type, reason }) => `${type} ${reason}`);

describe('the operator and its drivers', () => {
  it('approves what a driver of a wave at work asks for, and knows it at the broker from then on', async () => {
    await begin();
    await ask(mqtt);
    await pass();
    expect(await conditions()).toEqual(['Approved hedgerow.dev', 'Ready Issued']);
    expect([
      approver.judge(CLIENT, MD5),
      approver.judge(CLIENT, 'f'.repeat(32)),
      approver.judge('-rollout-0123456789abcdef.-hedgerow', MD5),
    ]).toEqual(['ok', 'unknown', 'unknown']);
    expect(told).toBeGreaterThan(0);
  });

  it('knows its drivers again after a restart, and sends nobody away before it does', async () => {
    await begin();
    await ask(mqtt);
    await pass();
    start();
    expect(() => approver.judge(CLIENT, MD5)).toThrow('not known yet');
    await pass();
    expect(approver.judge(CLIENT, MD5)).toBe('ok');
  });

  it('denies with a code what is no driver', async () => {
    await begin();
    await ask({ ...mqtt, spec: { ...mqtt.spec, username: 'mallory' } });
    await pass();
    expect(await conditions()).toEqual(['Denied hedgerow.dev']);
    expect((await shown())?.status?.conditions?.[0]?.message).toMatch(/^HR-ID-091: it was made by mallory\. Cure: /);
    expect(approver.judge(CLIENT, MD5)).toBe('unknown');
  });

  it('leaves alone what has another label, and what it may not deny is not signed either', async () => {
    await begin();
    cluster.api.faults = ({ verb }) => (verb === 'patch' ? { when: 'before', status: 403 } : undefined);
    await ask({ ...mqtt, spec: { ...mqtt.spec, username: 'mallory' } });
    await ask({ ...mqtt, metadata: { ...mqtt.metadata, uid: 'other', name: 'other', labels: {} } });
    await pass();
    expect(await conditions()).toEqual([]);
    expect(cluster.api.writes.filter(({ verb }) => verb !== 'create')).toEqual([]);
  });

  it('waits for a wave that it has not seen, and then says yes', async () => {
    await ask(mqtt);
    await pass();
    expect(await conditions()).toEqual([]);
    await begin();
    await pass(3000);
    expect(await conditions()).toEqual(['Approved hedgerow.dev', 'Ready Issued']);
  });

  it('takes it away when the wave has ended, and says so', async () => {
    await begin();
    await ask(mqtt);
    await pass();
    const before = told;
    await cluster.api.mergePatch(FIRMWARE_WAVES, WAVE, { status: { phase: 'Completed' } }, { subresource: 'status' });
    await pass();
    expect(approver.judge(CLIENT, MD5)).toBe('unknown');
    expect(await shown()).toBeUndefined();
    expect(told).toBeGreaterThan(before);
  });

  it('a person revokes a driver by deleting its request', async () => {
    await begin();
    await ask(mqtt);
    await pass();
    await cluster.api.delete(CERTIFICATE_REQUESTS, REF);
    await pass();
    expect(approver.judge(CLIENT, MD5)).toBe('unknown');
  });

  it('goes on after a write that failed', async () => {
    await begin();
    let failures = 2;
    cluster.api.faults = ({ verb }) => (verb === 'patch' && failures-- > 0 ? { when: 'before', status: 500 } : undefined);
    await ask(mqtt);
    await pass(60_000);
    expect(await conditions()).toEqual(['Approved hedgerow.dev', 'Ready Issued']);
  });
});
