import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CONFIG_MAPS } from '../api/resources.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { type Authorities, CA_BUNDLE, createAuthorities } from './authorities.ts';
import type { LedgerEntry } from './ledger-entry.ts';
import { readAuthority, type Signer } from './signer.ts';
import { makeRoot } from './testing/authority.ts';
import { FakeCluster } from './testing/fake-cluster.ts';
import { iso, NOW } from './testing/scene.ts';

const [old, fresh] = [readAuthority((await makeRoot()).pem), readAuthority((await makeRoot()).pem)] as [Signer, Signer];
const KEY = `configmaps/hedgerow/${CA_BUNDLE}`;

let clock: FakeClock;
let cluster: FakeCluster;
let entries: LedgerEntry[] | undefined;
let inForce: string[];
let registry: Registry;
let stop: AbortController;

beforeEach(() => {
  clock = new FakeClock(NOW);
  cluster = new FakeCluster(clock, () => '');
  entries = [];
  inForce = [];
  stop = new AbortController();
});
afterEach(() => stop.abort(new Error('the test is over')));

async function start(): Promise<Authorities> {
  registry = new Registry();
  const authorities = createAuthorities({
    client: cluster.client({ alive: true }),
    namespace: 'hedgerow',
    entries: () => entries,
    isInForce: (ca) => inForce.includes(ca),
    clock,
    log: silentLog,
    registry,
  });
  void authorities.run(stop.signal);
  await clock.advance(100);
  return authorities;
}
const stored = (): Record<string, string> => (cluster.api.objects.get(KEY)?.data ?? {}) as Record<string, string>;
const entry = (signer: Signer | undefined, endsInMs: number): LedgerEntry =>
  ({ ...(signer === undefined ? {} : { ca: signer.id }), notAfter: iso(NOW + endsInMs) }) as LedgerEntry;
const both = [old, fresh].sort((a, b) => (a.id < b.id ? -1 : 1));

describe('a rotation', () => {
  it('a new CA is stored before anything else, waits for the broker, and is trusted when the broker has it', async () => {
    const authorities = await start();
    await authorities.announce(old);
    entries = [entry(old, 3_600_000)];
    inForce = [old.id];
    expect([authorities.state(old.id), authorities.state(fresh.id)]).toEqual(['trusted', 'new']);
    await authorities.announce(fresh);
    expect(stored()['ca.crt']).toBe(both.map(({ pem }) => pem).join(''));
    expect(authorities.bundle()?.cas).toEqual(both.map(({ id }) => id));
    expect(authorities.state(fresh.id)).toBe('waiting');
    inForce = [old.id, fresh.id];
    expect(authorities.state(fresh.id)).toBe('trusted');
  });

  it('the old CA leaves when its last certificate has expired, and the metric counts down to it', async () => {
    const authorities = await start();
    for (const signer of [old, fresh]) await authorities.announce(signer);
    entries = [entry(old, 60_000), entry(old, 30_000), entry(fresh, 3_600_000)];
    let told = 0;
    authorities.onChange(() => told++);
    await clock.advance(40_000);
    expect(await registry.getSingleMetricAsString('fleet_ca_certificates')).toContain(`fleet_ca_certificates{ca="${old.id}"} 1`);
    expect([authorities.bundle()?.cas.length, told]).toEqual([2, 0]);
    await clock.advance(40_000);
    expect(authorities.bundle()?.cas).toEqual([fresh.id]);
    expect(Object.keys(stored()).sort()).toEqual([`${fresh.id}.crt`, 'ca.crt'].sort());
    expect(told).toBe(1);
  });
});

describe('another operator takes over', () => {
  it('it reads the bundle, and drops what nobody needs only when it has the ledger', async () => {
    const before = await start();
    for (const signer of [old, fresh]) await before.announce(signer);
    stop.abort(new Error('killed'));
    stop = new AbortController();
    entries = undefined;
    const after = await start();
    await clock.advance(60_000);
    expect([after.bundle(), after.state(fresh.id), Object.keys(stored()).length]).toEqual([undefined, 'waiting', 3]);
    entries = [entry(fresh, 3_600_000)];
    await clock.advance(15_000);
    expect(after.bundle()?.cas).toEqual([fresh.id]);
  });

  it('it never makes a bundle that lacks a CA that certificates need: it is left as it is, and mended by whoever puts the certificate back', async () => {
    entries = [entry(old, 3_600_000), entry(fresh, 3_600_000)];
    const authorities = await start();
    await authorities.announce(fresh);
    expect(authorities.bundle()).toBeUndefined();
    expect(authorities.state(fresh.id)).toBe('trusted');
    await cluster.api.mergePatch(CONFIG_MAPS, { name: CA_BUNDLE, namespace: 'hedgerow' }, { data: { [`${old.id}.crt`]: old.pem } });
    await clock.advance(15_000);
    expect(authorities.bundle()?.cas).toHaveLength(2);
  });

  it('certificates of a CA that nobody knows leave the broker as it is until they have expired', async () => {
    entries = [entry(undefined, 60_000), entry(old, 3_600_000)];
    const authorities = await start();
    await authorities.announce(old);
    expect([authorities.bundle(), authorities.state(old.id)]).toEqual([undefined, 'trusted']);
    await clock.advance(75_000);
    expect(authorities.bundle()?.cas).toEqual([old.id]);
  });
});

describe('somebody changes the ConfigMap', () => {
  it('what was deleted is back, and what does not belong there is gone', async () => {
    const authorities = await start();
    await authorities.announce(old);
    entries = [entry(old, 3_600_000)];
    await cluster.api.delete(CONFIG_MAPS, { name: CA_BUNDLE, namespace: 'hedgerow' });
    await clock.advance(15_000);
    expect(stored()['ca.crt']).toBe(old.pem);
    const strange = { [`${old.id}.crt`]: fresh.pem, 'ca.crt': fresh.pem, [`${fresh.id}.crt`]: fresh.pem, 'x.crt': 'junk' };
    await cluster.api.mergePatch(CONFIG_MAPS, { name: CA_BUNDLE, namespace: 'hedgerow' }, { data: strange });
    await clock.advance(15_000);
    expect(stored()).toEqual({ 'ca.crt': old.pem, [`${old.id}.crt`]: old.pem });
  });

  it('a write that fails is tried again; the CA counts as new until it is durable', async () => {
    const authorities = await start();
    cluster.api.faults = ({ plural }) => (plural === 'configmaps' ? { when: 'before' } : undefined);
    await expect(authorities.announce(old)).rejects.toThrow('injected');
    expect(authorities.state(old.id)).toBe('new');
    cluster.api.faults = () => undefined;
    await authorities.announce(old);
    expect(stored()['ca.crt']).toBe(old.pem);
  });
});
