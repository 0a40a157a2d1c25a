// What the operator believes about lists: signed ones, for as long as they last, and codes of refusals.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../identity/identity.ts';
import { OpenSsl } from '../identity/testing/openssl.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { encodeRevoked } from './certificate-list.ts';
import { explain } from './errors.ts';
import { makeList } from './publisher.ts';
import { createListSight } from './sight.ts';
import { authorityOf, type Ca, KEYS, makeCa } from './testing/ca.ts';

const HOUR_MS = 3_600_000;
const ISSUER = 'Issuer/berlin/devices';
const URL_OF = 'http://crl.test/crl/berlin/devices.crl';
const ssl = new OpenSsl();
let ca: Ca;
let stranger: Ca;
beforeAll(() => {
  ca = makeCa(ssl, KEYS['P-256']);
  stranger = makeCa(ssl, KEYS['P-256']);
});
afterAll(() => ssl[Symbol.dispose]());

function scene() {
  const clock = new FakeClock();
  const world = {
    entries: [] as LedgerEntry[] | undefined,
    served: new Map<string, { status: number; etag?: string; body: Buffer }>(),
    points: ['http://crl.test/crl/berlin/devices.pem'],
    trusted: ca.certificatePem,
    asked: [] as { url: string; etag: string | undefined }[],
    told: [] as { issuers: string[]; devices: string[] }[],
    /** Resolves when the server answers. */
    before: async (_url: string): Promise<void> => undefined,
  };
  const sight = createListSight({
    url: 'http://crl.test',
    readAuthorities: async () => world.trusted,
    async fetchList(url, etag) {
      world.asked.push({ url, etag });
      await world.before(url);
      const found = world.served.get(url);
      if (found === undefined) throw new Error('connect ECONNREFUSED');
      if (etag !== undefined && etag === found.etag) return { status: 304, etag, body: Buffer.alloc(0) };
      return { ...found, etag: found.etag };
    },
    issuers: { get: () => ({ key: '', uid: '', resourceVersion: '', secretName: 'ca', distributionPoints: world.points }) },
    entries: () => world.entries,
    clock,
    log: silentLog,
  });
  sight.onChange(({ issuers, devices }) => world.told.push({ issuers: [...issuers], devices: [...devices] }));
  const look = async (afterMs = 0): Promise<void> => {
    await clock.advance(afterMs);
    await sight.look(new AbortController().signal);
  };
  const publish = (serials: readonly string[], signer = ca, validityMs = 168 * HOUR_MS): void => {
    const entries = serials.map((serial) => encodeRevoked({ serial, revokedAtMs: clock.now(), reason: 'keyCompromise' }));
    const list = makeList(authorityOf(signer), entries, { now: clock.now(), validityMs, previous: undefined });
    world.served.set(URL_OF, { status: 200, etag: list.hash, body: list.der });
  };
  const refuse = (text: string): void => void world.served.set(URL_OF, { status: 503, body: Buffer.from(text) });
  return { clock, world, sight, look, publish, refuse };
}

function entry(serial: string, change: Partial<LedgerEntry> = {}): LedgerEntry {
  const revoked = { at: '2026-01-01T00:00:00Z', reason: 'Revoked', by: 'alice' } as const;
  return { issuer: ISSUER, serial, device: 'bad.berlin', notAfter: '2026-02-01T00:00:00Z', revoked, ...change } as LedgerEntry;
}
const good = (): LedgerEntry => {
  const { revoked: _, ...valid } = entry('01', { device: 'good.berlin' });
  return valid;
};

describe('a list as the operator sees it', () => {
  let s: ReturnType<typeof scene>;
  beforeEach(() => {
    s = scene();
    s.world.entries = [good()];
  });

  it('names a revoked certificate once it is there, tells its device, and is asked for each second until then', async () => {
    s.publish([]);
    await s.look();
    s.world.entries?.push(entry('00C0FFEE'));
    s.sight.wake();
    await s.look(1_000);
    await s.look(1_000);
    expect([s.sight.names(ISSUER, '00c0ffee'), s.world.asked.length]).toEqual([false, 3]);
    s.publish(['c0ffee']);
    await s.look(1_000);
    expect(s.sight.names(ISSUER, '00c0ffee')).toBe(true);
    expect(s.world.told.at(-1)?.devices).toEqual(['bad.berlin']);
    await s.look(1_000);
    expect(s.world.asked).toHaveLength(4);
  });

  it('is asked for by its tag twice a minute while nothing is missing', async () => {
    s.publish([]);
    for (let second = 0; second < 120; second++) await s.look(1_000);
    expect(s.world.asked).toHaveLength(4);
    expect(s.world.asked.slice(1).every(({ etag }) => etag !== undefined)).toBe(true);
  });

  it('of a stranger who calls his CA by the same name is not believed, and that is said', async () => {
    s.world.entries = [entry('aa')];
    s.publish(['aa'], stranger);
    await s.look();
    expect(s.sight.names(ISSUER, 'aa')).toBe(false);
    expect(s.sight.problem(ISSUER, 0)).toMatchObject({ reason: 'ListNotSigned' });
    s.publish(['aa']);
    await s.look(1_000);
    expect([s.sight.names(ISSUER, 'aa'), s.sight.problem(ISSUER, 0)]).toEqual([true, undefined]);
  });

  it('that is refused gives its code with our words, whatever else the answer says', async () => {
    s.refuse('HR-CRL-003 SecretForbidden: <b>pay here</b>');
    await s.look();
    expect(s.sight.problem(ISSUER, 0)).toEqual({ reason: 'SecretForbidden', message: explain({ code: 'HR-CRL-003' }) });
    expect(s.sight.expected(ISSUER)).toBe(false);
  });

  it('that is not ready yet, or comes with words nobody knows, is waited for, and after a minute out of reach', async () => {
    for (const text of ['HR-CRL-031 NotReady: …', 'HR-CRL-999 Other: …', 'bad gateway']) {
      s.refuse(text);
      await s.look(20_000);
      expect([s.sight.known(ISSUER), s.sight.problem(ISSUER, 0), s.sight.expected(ISSUER)]).toEqual([false, undefined, true]);
    }
    await s.look(61_000);
    expect(s.sight.problem(ISSUER, 0)?.reason).toBe('ListUnreachable');
    expect(s.sight.expected(ISSUER)).toBe(false);
    expect(s.world.told.at(-1)?.issuers).toEqual([ISSUER]);
  });

  it('stays good while its server is away, until its nextUpdate; what is missing on it is not waited for meanwhile', async () => {
    s.publish([]);
    await s.look();
    s.world.served.clear();
    await s.look(2 * 60_000);
    expect([s.sight.problem(ISSUER, 0), s.sight.expected(ISSUER)]).toEqual([undefined, false]);
    await s.clock.advance(169 * HOUR_MS);
    await s.look();
    expect(s.sight.problem(ISSUER, 0)?.reason).toBe('ListExpired');
  });

  it('without a distribution point is a problem of its issuer, and still names who is on it', async () => {
    s.world.points = ['ldap://directory'];
    s.world.entries = [entry('aa')];
    s.publish(['aa']);
    await s.look();
    expect(s.sight.problem(ISSUER, 0)?.reason).toBe('NoDistributionPoint');
    expect([s.sight.names(ISSUER, 'aa'), s.sight.expected(ISSUER)]).toEqual([true, true]);
  });

  it('has to outlast the time that a device may be out of touch, at its oldest', async () => {
    s.publish([]);
    await s.look();
    expect(s.sight.problem(ISSUER, 147 * HOUR_MS)).toBeUndefined();
    expect(s.sight.problem(ISSUER, 148 * HOUR_MS)).toMatchObject({
      reason: 'ListTooShort',
      message: expect.stringMatching(/147h.*crl\.validity/),
    });
  });

  it('is not asked for while the ledger was not read, nor for an issuer whose certificates have expired', async () => {
    s.world.entries = undefined;
    await s.look();
    s.world.entries = [entry('aa', { notAfter: '2025-12-01T00:00:00Z' })];
    await s.look(30_000);
    expect(s.world.asked).toEqual([]);
    expect([s.sight.known(ISSUER), s.sight.problem(ISSUER, 0)]).toEqual([false, undefined]);
  });

  it('is nothing when the file of CAs holds none, or a body is no list', async () => {
    s.publish([]);
    s.world.trusted = 'not there yet';
    await s.look();
    expect(s.sight.problem(ISSUER, 0)?.reason).toBe('CaFileUnreadable');
    s.world.served.set(URL_OF, { status: 200, body: Buffer.from('<html>') });
    await s.look(30_000);
    expect(s.sight.problem(ISSUER, 0)?.reason).toBe('ListUnreadable');
  });
});

describe('the lists of many issuers', () => {
  it('are asked for eight at a time, so that one that hangs keeps nobody', async () => {
    const { world, sight, clock } = scene();
    const names = Array.from({ length: 30 }, (_, at) => `Issuer/site-${at}/devices`);
    world.entries = names.map((issuer) => ({ ...good(), issuer }));
    const hanging = Promise.withResolvers<void>();
    world.before = (url) => (url.includes('/site-0/') ? hanging.promise : Promise.resolve());
    const round = sight.look(new AbortController().signal);
    await clock.advance(0);
    expect(new Set(world.asked.map(({ url }) => url)).size).toBe(30);
    hanging.resolve();
    await round;
  });
});

describe('a certificate of another CA', () => {
  it('is on no list of ours, and nobody waits for one', async () => {
    const { world, sight, look } = scene();
    const issuer = 'External//acme';
    world.entries = [entry('0a', { issuer, via: 'Existing' })];
    await look();
    expect([sight.known(issuer), sight.names(issuer, '0a'), sight.expected(issuer)]).toEqual([true, false, false]);
    expect(sight.problem(issuer, 0)).toMatchObject({ reason: 'CaOfOthers', message: expect.stringContaining('HR-CRL-029') });
    expect(world.asked).toEqual([]);
  });
});
