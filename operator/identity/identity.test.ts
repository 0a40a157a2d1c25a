// The whole room in memory: what is true at the end, and what never happens on the way, whatever fails or dies in between.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Device } from '../api/device.ts';
import { CERTIFICATE_REQUESTS, DEVICES, ISSUERS } from '../api/resources.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { seededRandom } from '../runtime/random.ts';
import { leafHash } from './device-facts.ts';
import { decodeEntry, type LedgerEntry } from './ledger-entry.ts';
import { issue, makeCsr } from './testing/authority.ts';
import type { Fault } from './testing/fake-api.ts';
import { FakeCluster, type Life } from './testing/fake-cluster.ts';
import { type Room, startRoom } from './testing/room.ts';
import { HOUR, NOW } from './testing/scene.ts';
import { readCertificate } from './x509.ts';

const NAMES = ['a', 'b', 'c'];
const KEYS = 3;
/** Certificates for each key, made before: signing in the middle would need real time. */
const vault = new Map<string, { csr: string; certificates: string[] }>();
for (const name of NAMES) {
  for (let key = 0; key < KEYS; key++) {
    const csr = await makeCsr({ device: name });
    const certificates = await Promise.all([1, 2, 3].map(() => issue(csr, { notBefore: NOW, notAfter: NOW + 720 * HOUR })));
    vault.set(`${name}/${key}`, { csr, certificates });
  }
}
const csrOf = (name: string, key: number): string => vault.get(`${name}/${key}`)?.csr ?? '';
const byCsr = new Map([...vault.values()].map(({ csr, certificates }) => [csr, certificates]));

function world(sign = (csr: string, times: number): string => byCsr.get(csr)?.[times - 1] ?? '') {
  const clock = new FakeClock(NOW);
  const cluster = new FakeCluster(clock, sign);
  const { api } = cluster;
  const ref = (name: string) => ({ name, namespace: 'berlin' });
  let life: Life = { alive: false };
  let room: Room | undefined;

  const world = {
    clock,
    cluster,
    api,
    start(): Room {
      life.alive = false; // kill -9: nothing that it began arrives any more
      life = { alive: true };
      const shared = { client: cluster.client(life), clock, random: seededRandom(1), log: silentLog, metrics: createMetrics() };
      room = startRoom({ ...shared, namespace: 'hedgerow', defaultIssuer: { name: 'site-ca', kind: 'Issuer' } });
      return room;
    },
    asPerson: (write: () => Promise<unknown>) => api.asOthers(write),
    apply(name: string, spec: object): void {
      const exists = api.objects.has(`devices/berlin/${name}`);
      const object = { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', metadata: { ...ref(name) }, spec };
      world.asPerson(() => (exists ? api.mergePatch(DEVICES, ref(name), { spec }) : api.create(DEVICES, object)));
    },
    remove: (name: string) => world.asPerson(() => api.delete(DEVICES, ref(name))),
    device: (name: string): Device | undefined => api.objects.get(`devices/berlin/${name}`) as unknown as Device | undefined,
    condition: (name: string, type: string) => world.device(name)?.status?.conditions?.find((condition) => condition.type === type),
    ledger: (): LedgerEntry[] =>
      [...api.objects].flatMap(([id, page]) =>
        id.startsWith('certificateledgers/')
          ? Object.entries((page.spec as { entries: Record<string, string> }).entries).map(
              ([key, text]) => decodeEntry(key, text) as LedgerEntry,
            )
          : [],
      ),
    requests: () => [...api.objects.keys()].filter((id) => id.startsWith(`${CERTIFICATE_REQUESTS.plural}/`)),
  };
  world.asPerson(() =>
    api.create(ISSUERS, {
      metadata: { name: 'site-ca', namespace: 'berlin' },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    } as never),
  );
  return world;
}

const spec = (name: string, key: number, lifecycle = 'Active') => ({
  segment: 'office',
  lifecycle,
  identity: { enrollment: 'CSR', csr: csrOf(name, key) },
});

describe('the identity room', () => {
  it('brings a Device from nothing to its certificate with five writes, and leaves no request behind', async () => {
    const w = world();
    w.start();
    w.apply('a', spec('a', 0));
    await w.clock.advance(5_000);
    expect(w.device('a')?.status).toMatchObject({
      certificate: byCsr.get(csrOf('a', 0))?.[0],
      identity: { issuer: 'Issuer/berlin/site-ca' },
    });
    expect(w.condition('a', 'Ready')).toMatchObject({ status: 'True', reason: 'Issued' });
    expect(w.requests()).toEqual([]);
    expect(w.ledger()).toHaveLength(1);
    expect(
      w.api.writes.map((write) => `${write.verb} ${write.plural}${write.subresource === undefined ? '' : `/${write.subresource}`}`),
    ).toEqual([
      'create certificaterequests',
      'patch certificaterequests/status',
      'create certificateledgers',
      'patch devices/status',
      'delete certificaterequests',
    ]);
  });

  it('writes nothing while nothing changes', async () => {
    const w = world();
    w.start();
    for (const name of NAMES) w.apply(name, spec(name, 0));
    await w.clock.advance(10_000);
    const before = w.api.writes.length;
    await w.clock.advance(HOUR / 2);
    expect(w.api.writes.slice(before)).toEqual([]);
  });

  it('goes on by itself when the issuer that was missing appears', async () => {
    const w = world();
    w.asPerson(() => w.api.delete(ISSUERS, { name: 'site-ca', namespace: 'berlin' }));
    w.start();
    w.apply('a', spec('a', 0));
    await w.clock.advance(60_000);
    expect(w.condition('a', 'Stalled')).toMatchObject({ reason: 'IssuerNotFound' });
    w.asPerson(() =>
      w.api.create(ISSUERS, {
        metadata: { name: 'site-ca', namespace: 'berlin' },
        status: { conditions: [{ type: 'Ready', status: 'True' }] },
      } as never),
    );
    await w.clock.advance(5_000);
    expect(w.condition('a', 'Ready')?.status).toBe('True');
    expect(w.condition('a', 'Stalled')).toBeUndefined();
  });

  it('does not approve a request that a stranger put in place of ours, says who, and goes on when it is gone', async () => {
    const w = world();
    w.start();
    w.apply('a', spec('a', 0));
    await w.clock.advance(5_000);
    const name = w.api.writes.find((write) => write.plural === CERTIFICATE_REQUESTS.plural)?.name ?? '';
    const other = world();
    const at = { name, namespace: 'berlin' };
    const evil = {
      apiVersion: 'cert-manager.io/v1',
      kind: 'CertificateRequest',
      metadata: at,
      spec: { request: Buffer.from(csrOf('b', 0)).toString('base64'), issuerRef: { name: 'site-ca' }, username: 'mallory' },
    };
    other.asPerson(() => other.api.create(CERTIFICATE_REQUESTS, evil));
    other.apply('a', spec('a', 0));
    // The name is made from the uid: the same world gives the same Device.
    const twin = other.device('a');
    const wanted = { ...w.device('a')?.metadata };
    if (twin !== undefined) twin.metadata.uid = wanted.uid ?? '';
    other.start();
    await other.clock.advance(16_000);
    expect(other.condition('a', 'Certified')).toMatchObject({
      status: 'False',
      reason: 'ForeignRequest',
      message: expect.stringContaining('mallory'),
    });
    expect(other.cluster.signed).toEqual([]);
    other.asPerson(() => other.api.delete(CERTIFICATE_REQUESTS, at));
    await other.clock.advance(16_000);
    expect(other.condition('a', 'Ready')?.status).toBe('True');
  });

  it('gives a revoked Device nothing with the same key, and a certificate with a new one', async () => {
    const w = world();
    w.start();
    w.apply('a', spec('a', 0));
    await w.clock.advance(5_000);
    w.apply('a', spec('a', 0, 'Revoked'));
    await w.clock.advance(5_000);
    expect(w.ledger()[0]?.revoked).toMatchObject({ reason: 'Revoked' });
    expect(w.device('a')?.status?.certificate).toBeUndefined();
    w.apply('a', spec('a', 0));
    await w.clock.advance(60_000);
    expect(w.condition('a', 'Stalled')).toMatchObject({ reason: 'KeyRevoked' });
    expect(w.cluster.signed).toHaveLength(1);
    w.apply('a', spec('a', 1));
    await w.clock.advance(5_000);
    expect(w.condition('a', 'Ready')?.status).toBe('True');
  });

  it('retires the certificates of a Device that is deleted, also when it was away meanwhile', async () => {
    const w = world();
    const room = w.start();
    for (const name of ['a', 'b']) w.apply(name, spec(name, 0));
    await w.clock.advance(5_000);
    w.remove('a');
    await w.clock.advance(2_000);
    expect(
      w
        .ledger()
        .map((e) => [e.device, e.revoked?.reason])
        .sort(),
    ).toEqual([
      ['a.berlin', 'Retired'],
      ['b.berlin', undefined],
    ]);
    await room.stop();
    w.remove('b');
    w.start();
    await w.clock.advance(5_000);
    expect(w.ledger().map((e) => e.revoked?.reason)).toEqual(['Retired', 'Retired']);
  });

  it('renews inside the window with the same key, and bans nothing for it', async () => {
    const renewedAt = NOW + 481 * HOUR;
    const renewed = await issue(csrOf('a', 0), { notBefore: renewedAt, notAfter: renewedAt + 720 * HOUR });
    const first = byCsr.get(csrOf('a', 0))?.[0] ?? '';
    const w = world((_csr, times) => (times === 1 ? first : renewed));
    const room = w.start();
    w.apply('a', spec('a', 0));
    await w.clock.advance(5_000);
    w.clock.jumpWall(430 * HOUR);
    room.wake('berlin/a');
    await w.clock.advance(5_000);
    expect(w.cluster.signed).toHaveLength(1);
    w.clock.jumpWall(51 * HOUR);
    room.wake('berlin/a');
    await w.clock.advance(5_000);
    expect(w.cluster.signed).toHaveLength(2);
    expect(w.device('a')?.status?.certificate).toBe(renewed);
    expect(w.ledger().filter((e) => e.revoked !== undefined)).toEqual([]);
  });
});

type Step = { do: 'apply' | 'revoke' | 'delete'; name: string; key: number } | { do: 'crash' } | { do: 'wait'; ms: number };

describe('whatever fails or dies between two steps', () => {
  const name = fc.constantFrom(...NAMES);
  const key = fc.nat(KEYS - 1);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('apply' as const), name, key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'delete' as const), name, key }) },
    { weight: 3, arbitrary: fc.constant<Step>({ do: 'crash' }) },
    // 120 ms is the ledger's group commit, 50 ms cert-manager, so these moments lie between any two steps.
    { weight: 8, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 40, 55, 90, 130, 200, 700) }) },
  );
  const fault: fc.Arbitrary<Fault | undefined> = fc.option(
    fc.record({ when: fc.constantFrom('before' as const, 'after' as const), status: fc.constantFrom(0, 409, 500) }),
    { nil: undefined, freq: 4 },
  );

  it('no certificate is handed out before it is in the ledger, no key gets two, and nothing that was signed is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 40 }),
        fc.array(fault, { maxLength: 60 }),
        fc.constantFrom(0, 30, 300),
        async (steps, faults, lagMs) => {
          const w = world();
          w.cluster.lagMs = lagMs;
          const onChange = w.api.onChange;
          w.api.onChange = (plural, object, deleted) => {
            onChange(plural, object, deleted);
            const shown = plural === DEVICES.plural && !deleted ? leafHash((object as unknown as Device).status?.certificate) : undefined;
            if (shown !== undefined) expect(w.ledger().find((e) => e.sha256 === shown)?.deviceUid).toBe(object.metadata.uid);
          };
          let writes = 0;
          w.api.faults = () => faults[writes++];
          w.start();
          const wanted = new Map<string, Step & { key: number }>();
          for (const s of steps) {
            if (s.do === 'wait') await w.clock.advance(s.ms);
            else if (s.do === 'crash') w.start();
            else if (s.do === 'delete') {
              w.remove(s.name);
              wanted.delete(s.name);
            } else {
              w.apply(s.name, spec(s.name, s.key, s.do === 'revoke' ? 'Revoked' : 'Active'));
              wanted.set(s.name, s);
            }
          }
          w.api.faults = () => undefined;
          w.start();
          // Longer than any back-off that the faults can have caused.
          await w.clock.advance(180_000);
          const ledger = w.ledger();
          const twice = w.cluster.signed.filter((csr, at) => w.cluster.signed.indexOf(csr) !== at);
          expect(twice).toEqual([]);
          for (const [device, want] of wanted) {
            const status = w.device(device)?.status;
            const mine = ledger.filter((e) => e.deviceUid === w.device(device)?.metadata.uid);
            if (want.do === 'revoke') {
              expect(mine.filter((e) => e.revoked === undefined)).toEqual([]);
              expect(status?.certificate).toBeUndefined();
              continue;
            }
            const held = readCertificate(status?.certificate ?? '');
            const ofKey = ledger.find((e) => e.spki === readCertificate(byCsr.get(csrOf(device, want.key))?.[0] ?? '')?.spki);
            // The key that is wanted is certified and handed out, unless it was revoked or had been certified and replaced before.
            if (w.condition(device, 'Stalled') === undefined) expect(held?.spki).toBe(ofKey?.spki);
            else expect(['KeyRevoked', 'CertificateLost', 'DuplicateKey']).toContain(w.condition(device, 'Stalled')?.reason);
          }
          expect(w.requests()).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  }, 120_000);
});
