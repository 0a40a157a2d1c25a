import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CERTIFICATE_LEDGERS } from '../api/resources.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { CertificateLedgerLog } from './ledger.ts';
import { certificateEntryId, decodeEntry, encodeEntry, type LedgerEntry } from './ledger-entry.ts';
import type { PagesClient } from './ledger-pages.ts';
import { drop } from './ledger-plan.ts';
import { FakeApi, type Fault } from './testing/fake-api.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const HOUR = 3_600_000;
const hash = (algorithm: string, text: string) => createHash(algorithm).update(text).digest('hex');

function entry(n: number, validHours = 720): LedgerEntry {
  const sha256 = hash('sha256', `certificate ${n}`);
  return {
    id: certificateEntryId(sha256),
    device: `dev-${n}.berlin`,
    deviceUid: `uid-${n}`,
    segment: 'office.berlin',
    issuer: 'Issuer/berlin/site-ca',
    serial: sha256.slice(0, 32),
    md5: hash('md5', `certificate ${n}`),
    sha256,
    spki: hash('sha256', `key ${n}`),
    notBefore: new Date(START).toISOString(),
    notAfter: new Date(START + validHours * HOUR).toISOString(),
    via: 'CSR',
  };
}

async function open(
  api: PagesClient,
  clock: FakeClock,
  options: { pageSize?: number; giveUpMs?: number } = {},
): Promise<CertificateLedgerLog> {
  const ledger = new CertificateLedgerLog({ client: api, namespace: 'hedgerow', clock, log: silentLog, lingerMs: 100, ...options });
  await ledger.load();
  return ledger;
}

/** The API server as one process reaches it: nothing that a dead process began arrives any more. */
function mortal(api: FakeApi, life: { alive: boolean }): PagesClient {
  return new Proxy<PagesClient>(api, {
    get: (target, method) => {
      const call = Reflect.get(target, method) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => (life.alive ? call.apply(target, args) : new Promise(() => undefined));
    },
  });
}

/** Lets the fake time run until the promise has an end. */
async function settled<T>(clock: FakeClock, promise: Promise<T>): Promise<T | Error> {
  let end: { value: T | Error } | undefined;
  promise.then(
    (value) => {
      end = { value };
    },
    (error: Error) => {
      end = { value: error };
    },
  );
  for (let i = 0; i < 2000 && end === undefined; i++) await clock.advance(100);
  if (end === undefined) throw new Error('did not end');
  return end.value;
}

function pages(api: FakeApi): Record<string, number> {
  return Object.fromEntries(
    [...api.objects.values()].map((page) => [page.metadata.name, Object.keys((page.spec as { entries: object }).entries).length]),
  );
}

describe('the text of an entry', () => {
  it('reads back as it was written, revoked or not', () => {
    const plain = entry(1);
    const revoked: LedgerEntry = { ...plain, revoked: { at: plain.notBefore, reason: 'Retired', by: 'hedgerow' } };
    for (const e of [plain, revoked]) expect(decodeEntry(e.id, encodeEntry(e))).toEqual(e);
  });

  it.each([
    ['no JSON', 'x'],
    ['an array', '[]'],
    ['a missing field', encodeEntry(entry(1)).replace(/"md5":"[^"]*",/, '')],
    ['an unknown field', encodeEntry(entry(1)).replace('{', '{"x":1,')],
    ['a hash of the wrong length', encodeEntry(entry(1)).replace(/"spki":"./, '"spki":"')],
    ['a date that is none', encodeEntry(entry(1)).replace(/"notAfter":"[^"]*"/, '"notAfter":"2026-13-41T00:00:00Z"')],
    ['a revocation without a reason', encodeEntry(entry(1)).replace(/}$/, ',"revoked":{"at":"2026-01-01T00:00:00Z","by":"x"}}')],
    ['the content of another key', encodeEntry(entry(2))],
  ])('is refused with %s', (_, text) => {
    expect(typeof decodeEntry(entry(1).id, text)).toBe('string');
  });
});

describe('CertificateLedgerLog', () => {
  it('refuses to record anything before it was read', async () => {
    const ledger = new CertificateLedgerLog({ client: new FakeApi(), namespace: 'hedgerow', clock: new FakeClock(START), log: silentLog });
    await expect(ledger.append(entry(1))).rejects.toThrow('not read yet');
  });

  it('writes a group of entries with one write, and resolves only when they are durable', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock);
    const appends = Array.from({ length: 100 }, (_, n) => ledger.append(entry(n)));
    expect(ledger.byMd5(entry(1).md5)).toBeUndefined();
    await settled(clock, Promise.all(appends));
    expect(api.writes).toHaveLength(1);
    expect(ledger.bySpki(entry(7).spki)).toEqual([entry(7)]);
    expect(ledger.byDevice('dev-7.berlin')).toEqual([entry(7)]);
    expect((await open(api, clock)).byMd5(entry(99).md5)).toEqual(entry(99));
  });

  it('begins a new page when the newest is full', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock, { pageSize: 10 });
    await settled(clock, Promise.all(Array.from({ length: 25 }, (_, n) => ledger.append(entry(n)))));
    expect(pages(api)).toEqual({ 'ledger-0': 10, 'ledger-1': 10, 'ledger-2': 5 });
  });

  it('drops expired entries with the next write of their page, keeps revoked ones for ever, and removes empty pages but the newest', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock, { pageSize: 3 });
    await settled(clock, Promise.all([0, 1, 2, 3, 4, 5].map((n) => ledger.append(entry(n, 1)))));
    await settled(clock, ledger.revoke([entry(4).id], { reason: 'Revoked', by: 'alice' }));
    await clock.advance(3 * HOUR);
    await ledger.load();
    await clock.advance(1000);
    expect(pages(api)).toEqual({ 'ledger-1': 1 });
    expect(ledger.bySpki(entry(4).spki)[0]?.revoked?.by).toBe('alice');
    expect([...ledger.all()]).toHaveLength(1);
  });

  it('revokes once: a second revocation changes neither time nor reason', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock);
    await settled(clock, ledger.append(entry(1)));
    await settled(clock, ledger.revoke([entry(1).id], { reason: 'Revoked', by: 'alice' }));
    const first = ledger.byMd5(entry(1).md5);
    await clock.advance(HOUR);
    await settled(clock, ledger.revoke([entry(1).id], { reason: 'Retired', by: 'bob' }));
    await settled(clock, ledger.append(entry(1)));
    expect(ledger.byMd5(entry(1).md5)).toEqual(first);
    expect(first?.revoked).toMatchObject({ reason: 'Revoked', by: 'alice' });
  });

  it('takes in what another writer put on the page, then adds its own', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const mine = await open(api, clock);
    const theirs = await open(api, clock);
    await settled(clock, theirs.append(entry(1)));
    await settled(clock, mine.append(entry(2)));
    expect(mine.byMd5(entry(1).md5)).toEqual(entry(1));
    expect(pages(api)).toEqual({ 'ledger-0': 2 });
  });

  it('stalls loudly on a page that does not read, loses nothing, and goes on when it was repaired', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    await settled(clock, (await open(api, clock)).append(entry(1)));
    const page = api.objects.get('certificateledgers/hedgerow/ledger-0') as unknown as { spec: { entries: Record<string, string> } };
    const good = structuredClone(page.spec);
    page.spec.entries[entry(2).id] = '{"device":"x"}';
    const ledger = new CertificateLedgerLog({ client: api, namespace: 'hedgerow', clock, log: silentLog });
    await expect(ledger.load()).rejects.toThrow(/HR-ID-040.*ledger-0/);
    expect(ledger.synced).toBe(false);
    await expect(ledger.append(entry(3))).rejects.toThrow('HR-ID-040');
    expect(pages(api)).toEqual({ 'ledger-0': 2 });
    page.spec = good;
    await ledger.load();
    expect(ledger.synced && ledger.problem === undefined && ledger.byMd5(entry(1).md5)).toEqual(entry(1));
  });

  it('puts back what somebody removed: an entry, a revocation, a whole page', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock, { pageSize: 2 });
    await settled(clock, Promise.all([1, 2, 3].map((n) => ledger.append(entry(n)))));
    await settled(clock, ledger.revoke([entry(2).id], { reason: 'Revoked', by: 'alice' }));
    await api.delete(CERTIFICATE_LEDGERS, { namespace: 'hedgerow', name: 'ledger-1' });
    await api.mergePatch(
      CERTIFICATE_LEDGERS,
      { namespace: 'hedgerow', name: 'ledger-0' },
      { spec: { entries: { [entry(1).id]: null, [entry(2).id]: encodeEntry(entry(2)) } } },
    );
    await ledger.load();
    await clock.advance(1000);
    const again = await open(api, clock);
    expect([...again.all()].map((e) => e.device).sort()).toEqual(['dev-1.berlin', 'dev-2.berlin', 'dev-3.berlin']);
    expect(again.byMd5(entry(2).md5)?.revoked?.by).toBe('alice');
  });

  it('gives up with an error when the API server stays away, and the same append succeeds later', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock, { giveUpMs: 2000 });
    api.faults = () => ({ when: 'before' });
    expect(await settled(clock, ledger.append(entry(1)))).toBeInstanceOf(Error);
    api.faults = () => undefined;
    expect(await settled(clock, ledger.append(entry(1)))).toBeUndefined();
    expect(pages(api)).toEqual({ 'ledger-0': 1 });
  });

  it('refuses an entry that would not read back, and goes on with the others', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock);
    for (const odd of [{ segment: '' }, { serial: '-1' }, { issuer: 'Vault/x/y' }, { deviceUid: '' }])
      await expect(ledger.append({ ...entry(1), ...odd })).rejects.toThrow(/would not read back: its field \w+ is/);
    await settled(clock, ledger.append(entry(2)));
    expect(ledger.problem).toBeUndefined();
    expect(pages(api)).toEqual({ 'ledger-0': 1 });
  });

  it('does not take an entry for durable whose removal is on its way', async () => {
    const api = new FakeApi();
    const clock = new FakeClock(START);
    const ledger = await open(api, clock);
    await settled(clock, ledger.append(entry(1)));
    const removal = ledger.commit([drop(entry(1).id)], { urgent: true });
    let hold = true;
    api.faults = () => (hold ? { when: 'before', status: 503 } : undefined);
    await clock.advance(10);
    const again = ledger.append(entry(1));
    hold = false;
    await settled(clock, Promise.all([removal, again]));
    expect(ledger.byMd5(entry(1).md5)).toEqual(entry(1));
    expect(pages(api)).toEqual({ 'ledger-0': 1 });
  });

  it('whatever fails, conflicts or crashes: what was acknowledged is there, nothing twice, and the state is that of a ledger without faults', async () => {
    type Step = { do: 'append' | 'revoke'; n: number } | { do: 'crash' | 'foreign' | 'tick' | 'expire' };
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), n: fc.nat(30) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('revoke' as const), n: fc.nat(30) }) },
      { weight: 3, arbitrary: fc.constantFrom<Step>({ do: 'crash' }, { do: 'foreign' }, { do: 'tick' }, { do: 'tick' }) },
    );
    const fault: fc.Arbitrary<Fault | undefined> = fc.option(
      fc.record({ when: fc.constantFrom('before' as const, 'after' as const), status: fc.constantFrom(0, 500, 503) }),
      { nil: undefined, freq: 3 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.array(fault, { maxLength: 40 }), async (steps, faults) => {
        const api = new FakeApi();
        const clock = new FakeClock(START);
        let writes = 0;
        api.faults = () => faults[writes++];
        let life = { alive: true };
        let ledger = await open(mortal(api, life), clock, { pageSize: 4 });
        const wanted = new Map<number, boolean>();
        const acknowledged = new Set<number>();
        const acknowledgedRevoked = new Set<number>();
        for (const s of steps) {
          if (s.do === 'append') {
            wanted.set(s.n, wanted.get(s.n) ?? false);
            ledger.append(entry(s.n)).then(
              () => acknowledged.add(s.n),
              () => undefined,
            );
          } else if (s.do === 'revoke' && acknowledged.has(s.n)) {
            wanted.set(s.n, true);
            ledger.revoke([entry(s.n).id], { reason: 'Revoked', by: 'x' }).then(
              () => acknowledgedRevoked.add(s.n),
              () => undefined,
            );
          } else if (s.do === 'crash') {
            life.alive = false;
            life = { alive: true };
            ledger = await open(mortal(api, life), clock, { pageSize: 4 });
          } else if (s.do === 'foreign' && api.objects.size > 0) {
            await api
              .mergePatch(
                CERTIFICATE_LEDGERS,
                { namespace: 'hedgerow', name: 'ledger-0' },
                { metadata: { labels: { touched: String(writes) } } },
              )
              .catch(() => undefined);
          } else await clock.advance(150);
        }
        const afterwards = await open(api, clock, { pageSize: 4 });
        for (const n of acknowledged) expect(afterwards.byMd5(entry(n).md5)).toBeDefined();
        for (const n of acknowledgedRevoked) expect(afterwards.byMd5(entry(n).md5)?.revoked).toBeDefined();
        // A restarted operator asks again for everything it wanted; the end is that of a run without faults.
        api.faults = () => undefined;
        await settled(clock, Promise.all([...wanted.keys()].map((n) => afterwards.append(entry(n)))));
        await settled(
          clock,
          afterwards.revoke(
            [...wanted].filter(([, revoked]) => revoked).map(([n]) => entry(n).id),
            { reason: 'Revoked', by: 'x' },
          ),
        );
        const end = [...(await open(api, clock)).all()];
        expect(end.map((e) => [e.device, e.revoked !== undefined]).sort()).toEqual(
          [...wanted].map(([n, revoked]) => [`dev-${n}.berlin`, revoked]).sort(),
        );
        expect(Object.values(pages(api)).reduce((sum, size) => sum + size, 0)).toBe(end.length);
      }),
      { numRuns: 300 },
    );
  }, 60_000);
});
