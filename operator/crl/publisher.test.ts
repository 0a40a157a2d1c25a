// When a list is made, and when not.
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { RevokedCertificate } from '../identity/identity.ts';
import { OpenSsl } from '../identity/testing/openssl.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import type { Authority } from './authority.ts';
import { createPublisher, type PublishedList, type Publisher } from './publisher.ts';
import { Revocations } from './revocations.ts';
import { authorityOf, KEYS, makeCa } from './testing/ca.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 168 * HOUR_MS;
const [BERLIN, HAMBURG] = ['Issuer/berlin/devices', 'Issuer/hamburg/devices'];
const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());
const ca = authorityOf(makeCa(ssl, KEYS['P-256']));

let clock: FakeClock;
let revocations: Revocations;
let publisher: Publisher;
let made: string[];

beforeEach(() => {
  clock = new FakeClock();
  revocations = new Revocations(HOUR_MS);
  made = [];
  publisher = createPublisher({ revocations, validityMs: WEEK_MS, clock, log: silentLog, published: (issuer) => void made.push(issuer) });
});

function revoke(issuer: string, serial: string): void {
  const one: RevokedCertificate = { issuer, serial, notAfterMs: clock.now() + WEEK_MS, revokedAtMs: clock.now(), reason: 'Revoked' };
  publisher.changed(revocations.take([one], clock.now()));
}
async function start(...issuers: string[]): Promise<void> {
  for (const issuer of issuers) publisher.setAuthority(issuer, ca);
  await clock.advance(1_000);
  made.length = 0;
}
const list = (issuer: string): PublishedList => publisher.list(issuer) ?? expect.fail(`${issuer} has no list`);

describe('a list is made', () => {
  it('as soon as the CA is known, with everybody who was revoked before', async () => {
    revoke(BERLIN, 'aa');
    await clock.advance(1_000);
    expect(publisher.list(BERLIN)).toBeUndefined();
    publisher.setAuthority(BERLIN, ca);
    await clock.advance(1_000);
    expect(list(BERLIN)).toMatchObject({ entries: 1, nextUpdateMs: list(BERLIN).issuedAtMs + WEEK_MS });
  });

  it('within a second of a revocation, of its issuer alone', async () => {
    await start(BERLIN, HAMBURG);
    const before = list(HAMBURG);
    revoke(BERLIN, 'aa');
    await clock.advance(1_000);
    expect(made).toEqual([BERLIN]);
    expect(list(BERLIN).entries).toBe(1);
    expect(list(HAMBURG)).toBe(before);
  });

  it('once for a thousand revocations of one moment', async () => {
    await start(BERLIN);
    for (let at = 0; at < 1_000; at++) revoke(BERLIN, at.toString(16));
    await clock.advance(1_000);
    expect(made).toEqual([BERLIN]);
    expect(list(BERLIN).entries).toBe(1_000);
  });

  it('again long before it ages, and not without a reason', async () => {
    await start(BERLIN);
    const first = list(BERLIN);
    for (let minute = 0; minute < 20 * 60; minute++) {
      publisher.tick();
      await clock.advance(60_000);
    }
    expect(made).toEqual([]);
    await clock.advance(2 * HOUR_MS);
    publisher.tick();
    await clock.advance(1_000);
    expect(made).toEqual([BERLIN]);
    expect(list(BERLIN).number).toBeGreaterThan(first.number);
    expect(first.nextUpdateMs - list(BERLIN).issuedAtMs).toBeGreaterThan(6 * 24 * HOUR_MS);
  });

  it('again when the wall clock turns out to have been far ahead', async () => {
    await start(BERLIN);
    const { number } = list(BERLIN);
    clock.jumpWall(-24 * HOUR_MS);
    publisher.tick();
    await clock.advance(1_000);
    expect(list(BERLIN).issuedAtMs).toBeLessThanOrEqual(clock.now());
    expect(list(BERLIN).number).toBe(number + 1);
  });

  it('by the new CA when the CA is another one', async () => {
    await start(BERLIN);
    const other: Authority = authorityOf(makeCa(ssl, KEYS['P-384']));
    publisher.setAuthority(BERLIN, other);
    await clock.advance(1_000);
    expect(list(BERLIN).der.includes(other.keyId)).toBe(true);
    expect(list(BERLIN).der.includes(ca.keyId)).toBe(false);
  });
});

describe('without a complete ledger', () => {
  it('nobody gets a first list, and who has one keeps getting new ones', async () => {
    await start(BERLIN);
    publisher.holdFirstLists(true);
    publisher.setAuthority(HAMBURG, ca);
    revoke(BERLIN, 'aa');
    revoke(HAMBURG, 'bb');
    await clock.advance(1_000);
    expect(made).toEqual([BERLIN]);
    expect(publisher.list(HAMBURG)).toBeUndefined();
    publisher.holdFirstLists(false);
    await clock.advance(1_000);
    expect(list(HAMBURG).entries).toBe(1);
  });
});

describe('a CA that fails to sign', () => {
  it('costs no other issuer its list, leaves the old one, and is tried again; nothing it says is logged', async () => {
    const lines: string[] = [];
    const log = { ...silentLog, error: (fields: object, message: string) => void lines.push(JSON.stringify(fields) + message) };
    publisher = createPublisher({ revocations, validityMs: WEEK_MS, clock, log, published: (issuer) => void made.push(issuer) });
    let broken = true;
    const moody: Authority = {
      ...ca,
      sign: (bytes) => {
        if (broken) throw new Error('MC4CAQAwBQYDK2VwBCIEIA');
        return ca.sign(bytes);
      },
    };
    publisher.setAuthority(BERLIN, moody);
    publisher.setAuthority(HAMBURG, ca);
    await clock.advance(1_000);
    expect(publisher.list(BERLIN)).toBeUndefined();
    expect(list(HAMBURG).entries).toBe(0);
    expect(lines.join()).not.toContain('MC4CAQ');
    expect(lines).toHaveLength(1);
    broken = false;
    publisher.tick();
    await clock.advance(1_000);
    expect(list(BERLIN).entries).toBe(0);
    broken = true;
    revoke(BERLIN, 'aa');
    await clock.advance(1_000);
    expect(list(BERLIN).entries).toBe(0);
    broken = false;
    publisher.tick();
    await clock.advance(1_000);
    expect(list(BERLIN).entries).toBe(1);
  });
});
