import { beforeEach, describe, expect, it } from 'vitest';
import { DEVICES } from '../api/resources.ts';
import { KubeError } from '../kube/errors.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { CertificateLedgerLog } from './ledger.ts';
import { type PendingEntry, pendingEntryId } from './ledger-entry.ts';
import { put } from './ledger-plan.ts';
import { retireOrphans } from './retire.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { FakeApi } from './testing/fake-api.ts';
import { device, entry, HOUR, NOW } from './testing/scene.ts';

const names = ['a', 'b', 'c'];
const certificates = new Map(
  await Promise.all(
    names.map(
      async (name) => [name, await issue(await makeCsr({ device: name }), { notBefore: NOW, notAfter: NOW + 720 * HOUR })] as const,
    ),
  ),
);
const of = (name: string, uid = `uid-${name}`) => device({ name, uid });
const entryOf = (name: string) => entry(of(name), certificates.get(name) ?? '');

let api: FakeApi;
let clock: FakeClock;
let ledger: CertificateLedgerLog;
let store: Map<string, ReturnType<typeof device>>;

beforeEach(async () => {
  api = new FakeApi();
  clock = new FakeClock(NOW);
  ledger = new CertificateLedgerLog({ client: api, namespace: 'hedgerow', clock, log: silentLog, lingerMs: 0 });
  await ledger.load();
  store = new Map();
  for (const name of names) await exists(name);
  await during(Promise.all(names.map((name) => ledger.append(entryOf(name)))));
});

async function during<T>(work: Promise<T>): Promise<T> {
  let ended = false;
  const done = work.finally(() => {
    ended = true;
  });
  done.catch(() => undefined);
  for (let i = 0; i < 100 && !ended; i++) await clock.advance(10);
  return await done;
}

/** At the API server and in the cache. */
async function exists(name: string, uid = `uid-${name}`): Promise<void> {
  await api.create(DEVICES, { metadata: { name, namespace: 'berlin', uid } });
  store.set(`berlin/${name}`, of(name, uid));
}
async function deleted(name: string, where: { cache: boolean; server: boolean }): Promise<void> {
  if (where.server) await api.delete(DEVICES, { namespace: 'berlin', name });
  if (where.cache) store.delete(`berlin/${name}`);
}
const retire = (synced = true) =>
  during(retireOrphans({ client: api, ledger, devices: { synced, get: (key) => store.get(key) } }, clock.now()));
const revokedNow = () =>
  [...ledger.all()].filter((e) => e.revoked !== undefined).map((e) => `${e.device} ${e.revoked?.reason} ${e.revoked?.by}`);

describe('certificates of Devices that are gone', () => {
  it('are revoked, in the ledger and for ever, and no others', async () => {
    await deleted('a', { cache: true, server: true });
    expect((await retire()).map((e) => e.device)).toEqual(['a.berlin']);
    expect(revokedNow()).toEqual(['a.berlin Retired hedgerow']);
    expect(await retire()).toEqual([]);
  });

  it('are those of an older Device of the same name too', async () => {
    await deleted('b', { cache: true, server: true });
    await exists('b', 'recreated');
    await retire();
    expect(revokedNow()).toEqual(['b.berlin Retired hedgerow']);
  });

  it('are not those that only the cache does not show: a revocation cannot be taken back', async () => {
    for (const name of names) await deleted(name, { cache: true, server: false });
    expect(await retire()).toEqual([]);
    expect(revokedNow()).toEqual([]);
  });

  it('are not looked for before Devices and ledger were read completely', async () => {
    await deleted('a', { cache: true, server: true });
    expect(await retire(false)).toEqual([]);
    const blind = new CertificateLedgerLog({ client: api, namespace: 'hedgerow', clock, log: silentLog });
    expect(await retireOrphans({ client: api, ledger: blind, devices: { synced: true, get: () => undefined } }, clock.now())).toEqual([]);
  });

  it('are left alone when they have expired', async () => {
    await deleted('a', { cache: true, server: true });
    await clock.advance(721 * HOUR);
    expect(await retire()).toEqual([]);
  });

  it('are not revoked on the word of an API server that does not answer', async () => {
    await deleted('a', { cache: true, server: true });
    const down = new KubeError({ status: 0, reason: 'NetworkError', message: 'connect ECONNREFUSED' });
    const client = { get: () => Promise.reject(down), list: () => Promise.reject(down) };
    await expect(retireOrphans({ client, ledger, devices: { synced: true, get: (key) => store.get(key) } }, clock.now())).rejects.toBe(
      down,
    );
    expect(revokedNow()).toEqual([]);
  });

  it('are those too that were approved and not seen yet', async () => {
    const { spki, issuer, segment, notAfter } = entryOf('a');
    const pending: PendingEntry = {
      id: pendingEntryId(spki),
      pending: true,
      device: 'gone.berlin',
      deviceUid: 'uid-gone',
      segment,
      issuer,
      spki,
      notAfter,
      via: 'Managed',
    };
    await during(ledger.commit([put(pending)]));
    expect((await retire()).map((e) => e.device)).toEqual(['gone.berlin']);
    expect(ledger.pending()[0]?.revoked?.reason).toBe('Retired');
  });

  it('of a whole namespace cost one list, not a read each', async () => {
    const many = Array.from({ length: 20 }, (_, i) => `m${i}`);
    const all = await Promise.all(
      many.map(async (name) => entry(of(name), await issue(await makeCsr({ device: name }), { notBefore: NOW, notAfter: NOW + HOUR }))),
    );
    await during(Promise.all(all.map((e) => ledger.append(e))));
    const before = api.reads;
    expect(await retire()).toHaveLength(20);
    expect(api.reads).toBe(before);
  });
});
