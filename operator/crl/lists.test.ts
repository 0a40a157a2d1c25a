// A cluster in memory, an operator that writes its ledger, and CRL servers that are killed: at the end the list is what the ledger says.
import { AsnConvert } from '@peculiar/asn1-schema';
import { CertificateList } from '@peculiar/asn1-x509';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import { CERTIFICATE_LEDGERS, CLUSTER_ISSUERS, ISSUERS, SECRETS } from '../api/resources.ts';
import { FakeCluster } from '../identity/testing/fake-cluster.ts';
import { OpenSsl } from '../identity/testing/openssl.ts';
import type { KubeObject } from '../kube/object.ts';
import { FakeClock } from '../runtime/clock.ts';
import type { EventNote, Regarding } from '../runtime/events.ts';
import { silentLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { createLists, type Lists } from './lists.ts';
import { KEYS, makeCa } from './testing/ca.ts';

const OWN = 'hedgerow-system';
const ISSUER = 'Issuer/berlin/devices';
const HOUR_MS = 3_600_000;
const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());
const ca = makeCa(ssl, KEYS['P-256']);

class World {
  readonly clock = new FakeClock();
  readonly cluster = new FakeCluster(this.clock, () => '');
  readonly events: string[] = [];
  readonly #pages = new Map<number, Map<string, string>>();
  #life = { alive: false };
  #stop = new AbortController();
  lists: Lists | undefined;

  async begin(): Promise<void> {
    const encoded = (text: string): string => Buffer.from(text).toString('base64');
    const data = { 'tls.crt': encoded(ca.certificatePem), 'tls.key': encoded(ca.keyPem) };
    const spec = { ca: { secretName: 'ca', crlDistributionPoints: ['http://crl/crl/berlin/devices.pem'] } };
    await this.cluster.api.create(SECRETS, { metadata: { name: 'ca', namespace: 'berlin' }, data } as KubeObject);
    await this.cluster.api.create(ISSUERS, { metadata: { name: 'devices', namespace: 'berlin' }, spec } as KubeObject);
    await this.cluster.api.create(CLUSTER_ISSUERS, { metadata: { name: 'vault' }, spec: { vault: {} } } as KubeObject);
  }

  /** As if by kill -9, if it runs, and a new process. */
  async start(issuers: readonly string[] = [ISSUER]): Promise<void> {
    this.kill();
    this.#life = { alive: true };
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const event = (regarding: Regarding, note: EventNote): void =>
      void this.events.push(`${note.reason} ${regarding.name}: ${note.message}`);
    const lists = createLists({
      client: this.cluster.client(this.#life),
      namespace: OWN,
      issuers,
      clusterResourceNamespace: 'cert-manager',
      validityMs: 168 * HOUR_MS,
      recorder: { event },
      clock: this.clock,
      random: () => 0.5,
      log: silentLog,
      metrics: createMetrics(),
    });
    for (const reflector of lists.reflectors) void reflector.run(signal);
    void Promise.all(lists.reflectors.map((reflector) => reflector.whenSynced(signal)))
      .then(() => lists.run(signal))
      .catch(() => undefined);
    this.lists = lists;
    await this.clock.advance(1_000);
  }

  kill(): void {
    this.#life.alive = false;
    this.#stop.abort(new Error('killed'));
    this.lists = undefined;
  }

  /** As the operator writes it: one entry on a page. `text` instead of what belongs there: somebody tampered with it. */
  async record(
    page: number,
    serial: string,
    more: { revoked?: boolean; notAfterMs?: number; issuer?: string; text?: string } = {},
  ): Promise<void> {
    const sha256 = serial.padStart(64, '0').split('').reverse().join('');
    const at = (ms: number): string => new Date(ms).toISOString();
    const entry = {
      ...{ device: 'thermo.berlin', deviceUid: 'uid', segment: 'office.berlin', issuer: more.issuer ?? ISSUER, serial },
      ...{
        md5: 'a'.repeat(32),
        sha256,
        spki: 'b'.repeat(64),
        notBefore: at(0),
        notAfter: at(more.notAfterMs ?? this.clock.now() + 900 * HOUR_MS),
      },
      via: 'CSR',
      ...(more.revoked === false ? {} : { revoked: { at: at(this.clock.now()), reason: 'Revoked', by: 'alice' } }),
    };
    const entries = this.#pages.get(page) ?? new Map<string, string>();
    this.#pages.set(page, entries.set(sha256.slice(0, 32), more.text ?? JSON.stringify(entry)));
    await this.#put(page, Object.fromEntries(entries));
  }

  async #put(page: number, entries: Record<string, string>): Promise<void> {
    const ref = { name: `ledger-${page}`, namespace: OWN };
    const there = await this.cluster.api.get<CertificateLedger>(CERTIFICATE_LEDGERS, ref);
    if (there !== undefined) await this.cluster.api.mergePatch(CERTIFICATE_LEDGERS, ref, { spec: { entries } });
    else await this.cluster.api.create(CERTIFICATE_LEDGERS, { metadata: ref, spec: { entries } } as unknown as CertificateLedger);
  }

  async removePage(page: number): Promise<void> {
    this.#pages.delete(page);
    await this.cluster.api.delete(CERTIFICATE_LEDGERS, { name: `ledger-${page}`, namespace: OWN });
  }

  serials(): string[] | undefined {
    const list = this.lists?.list(ISSUER);
    if (list === undefined) return undefined;
    const { revokedCertificates = [] } = AsnConvert.parse(list.der, CertificateList).tbsCertList;
    return revokedCertificates.map((one) => BigInt(`0x${Buffer.from(one.userCertificate).toString('hex')}`).toString(16));
  }
}

async function world(): Promise<World> {
  const made = new World();
  await made.begin();
  return made;
}

describe('the lists', () => {
  it('begin with what the ledger held, follow it within a second, and are the same after a kill', async () => {
    const w = await world();
    await w.record(0, 'a1');
    await w.record(0, 'a2', { revoked: false });
    await w.start();
    expect(w.serials()).toEqual(['a1']);
    await w.record(0, 'a2');
    await w.record(1, '77');
    await w.clock.advance(1_000);
    expect(w.serials()).toEqual(['77', 'a1', 'a2']);
    const number = w.lists?.list(ISSUER)?.number ?? 0;
    await w.start();
    expect(w.serials()).toEqual(['77', 'a1', 'a2']);
    expect(w.lists?.list(ISSUER)?.number).toBeGreaterThan(number);
    w.kill();
  });

  it('keep whom a page named that is gone', async () => {
    const w = await world();
    await w.record(0, 'a1');
    await w.start();
    await w.removePage(0);
    await w.record(1, 'a2');
    await w.clock.advance(1_000);
    expect(w.serials()).toEqual(['a1', 'a2']);
    w.kill();
  });

  it('are not begun from a ledger that does not read, are kept up when there is one, and that is said', async () => {
    const w = await world();
    await w.record(0, 'a1');
    await w.start();
    await w.record(1, 'b1', { text: '{"hostile":true}' });
    await w.record(0, 'a2');
    await w.clock.advance(1_000);
    expect(w.serials()).toEqual(['a1', 'a2']);
    expect(w.events.at(-1)).toContain('CRLUnavailable devices: HR-CRL-020');
    await w.start();
    expect(w.serials()).toBeUndefined();
    expect(w.lists?.problem(ISSUER)).toMatchObject({ code: 'HR-CRL-020' });
    expect(w.lists?.startingUp()).toContain('HR-CRL-020');
    await w.record(1, 'b1');
    await w.clock.advance(1_000);
    expect(w.serials()).toEqual(['a1', 'a2', 'b1']);
    expect(w.lists?.startingUp()).toBeUndefined();
    w.kill();
  });

  it('are wanted of every issuer that the ledger names: one without a key is never skipped in silence', async () => {
    const w = await world();
    await w.record(0, 'a1', { issuer: 'ClusterIssuer//vault', revoked: false });
    await w.record(0, 'a2', { issuer: 'Issuer/berlin/gone', revoked: false });
    await w.record(0, 'a3', { issuer: 'Issuer//odd', revoked: false });
    await w.record(0, 'a4', { issuer: 'Issuer/berlin/expired', revoked: false, notAfterMs: w.clock.now() - 1 });
    await w.start([]);
    expect(w.lists?.problem('ClusterIssuer//vault')).toMatchObject({ code: 'HR-CRL-002' });
    expect(w.lists?.problem('Issuer/berlin/gone')).toMatchObject({ code: 'HR-CRL-001' });
    expect(w.lists?.problem('Issuer//odd')).toMatchObject({ code: 'HR-CRL-001' });
    expect(w.lists?.problem('Issuer/berlin/expired')).toBeUndefined();
    expect(w.lists?.problem(ISSUER)).toBeUndefined();
    expect(w.events.map((text) => text.split(' ')[1])).toEqual(expect.arrayContaining(['vault:', 'gone:']));
    expect(w.lists?.startingUp()).toBeUndefined();
    w.kill();
  });

  it('whatever happens, in whatever order: end as the ledger says, under numbers that only grow', async () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant('revoke' as const),
        page: fc.nat({ max: 3 }),
        serial: fc.integer({ min: 1, max: 60 }),
        hours: fc.integer({ min: -50, max: 400 }),
      }),
      fc.record({ do: fc.constant('issue' as const), page: fc.nat({ max: 3 }), serial: fc.integer({ min: 61, max: 99 }) }),
      fc.record({ do: fc.constant('kill' as const) }),
      fc.record({ do: fc.constant('start' as const) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 60, 90_000, 5 * HOUR_MS) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const w = await world();
        const ends = new Map<string, number>();
        let number = 0;
        const look = (): void => {
          const now = w.lists?.list(ISSUER)?.number ?? number;
          expect(now).toBeGreaterThanOrEqual(number);
          number = now;
        };
        for (const one of steps) {
          if (one.do === 'revoke') {
            const serial = one.serial.toString(16);
            if (!ends.has(serial)) {
              ends.set(serial, w.clock.now() + one.hours * HOUR_MS);
              await w.record(one.page, serial, { notAfterMs: ends.get(serial) ?? 0 });
            }
          } else if (one.do === 'issue') await w.record(one.page, one.serial.toString(16), { revoked: false });
          else if (one.do === 'kill') w.kill();
          else if (one.do === 'start') await w.start();
          else await w.clock.advance(one.ms);
          look();
        }
        await w.start();
        look();
        const keptMs = (2 * 168 * HOUR_MS) / 8;
        const expected = [...ends].filter(([, end]) => end + keptMs >= w.clock.now()).map(([serial]) => serial);
        expect(w.serials()).toEqual(expected.sort((a, b) => Number.parseInt(a, 16) - Number.parseInt(b, 16)));
        w.kill();
      }),
      { numRuns: 40 },
    );
  });
});
