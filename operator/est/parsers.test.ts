// What strangers send, as pure functions: right for what is right, and never a crash for anything else.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { isPkcs10, MAX_BODY_BYTES, pemOfBody } from './body.ts';
import { ERRORS, refuse, statusOf } from './errors.ts';
import { createLimiter, limitKey } from './limits.ts';
import { parseEstOptions } from './options.ts';
import { base64Lines, certsOnly } from './pkcs7.ts';
import { forgettable, judgeToken, readBasic, readTokenRecord, usedRecord } from './token.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const NOW = Date.parse('2026-03-01T00:00:00Z');
const SECRET = 'a-token-of-twenty-characters';
const SHA256 = createHash('sha256').update(SECRET).digest('hex');
const REQUEST = 'a'.repeat(64);
const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));

describe('a body', () => {
  it('of base64 becomes a PEM block of the same bytes, whatever white space is in it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 600 }), fc.integer({ min: 1, max: 80 }), (array, width) => {
        const text = Buffer.from(array)
          .toString('base64')
          .replace(new RegExp(`.{${width}}`, 'g'), '$&\r\n');
        const read = pemOfBody(Buffer.from(text));
        const body = 'pem' in read ? read.pem.replace(/-----[^-]+-----|\n/g, '') : '';
        expect(Buffer.from(body, 'base64').equals(Buffer.from(array))).toBe(true);
      }),
    );
  });

  it('of anything is read or refused', () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 }).map((s) => Buffer.from(s));
    const almost = fc.base64String({ maxLength: 60 }).map((s) => Buffer.from(s));
    fc.assert(
      fc.property(fc.oneof(bytes, text, almost), (body) => {
        const read = pemOfBody(body);
        if ('pem' in read)
          expect(read.pem).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE REQUEST-----\n$/);
        else expect(['HR-EST-030', 'HR-EST-031']).toContain(read.code);
      }),
      { numRuns: 20_000 },
    );
  }, 60_000);

  it.each([
    ['empty', '', 'HR-EST-030'],
    ['of white space', ' \r\n', 'HR-EST-030'],
    ['with characters that are none of base64', 'AAAA-AAA', 'HR-EST-030'],
    ['with stray bits at the end', 'AAB=', 'HR-EST-030'],
    ['with padding in the middle', 'AA==AAAA', 'HR-EST-030'],
    ['in PEM', '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----', 'HR-EST-030'],
    ['too large', 'A'.repeat(MAX_BODY_BYTES + 1), 'HR-EST-031'],
  ])('that is %s is refused', (_name, text, code) => expect(pemOfBody(Buffer.from(text))).toMatchObject({ code }));

  it.each([
    ['application/pkcs10', true],
    ['Application/PKCS10; charset=utf-8', true],
    ['application/pkcs10x', false],
    ['text/plain', false],
    [undefined, false],
  ])('of type %s is looked at: %s', (type, looked) => expect(isPkcs10(type)).toBe(looked));
});

describe('HTTP Basic', () => {
  const header = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

  it('gives the device and its token; a token may hold a colon', () => {
    expect(readBasic(header(`thermo-1.berlin:${SECRET}:x`))).toEqual({ device: 'thermo-1', namespace: 'berlin', token: `${SECRET}:x` });
    expect(readBasic(header(`thermo-1.berlin:${SECRET}`).replace('Basic', 'bASIC'))?.device).toBe('thermo-1');
  });

  it.each([
    ['another scheme', 'Bearer abc'],
    ['no colon', header('thermo-1.berlin')],
    ['no namespace', header(`thermo-1:${SECRET}`)],
    ['two dots', header(`a.b.c:${SECRET}`)],
    ['a path', header(`../x.berlin:${SECRET}`)],
    ['capitals', header(`Thermo.berlin:${SECRET}`)],
    ['a short token', header('thermo-1.berlin:short')],
    ['a token with spaces', header(`thermo-1.berlin:${SECRET} x`)],
    ['a long header', header(`thermo-1.berlin:${'x'.repeat(2_000)}`)],
    ['no base64', 'Basic %%%'],
    ['nothing', ''],
  ])('with %s is none', (_name, text) => expect(readBasic(text)).toBeUndefined());

  it('never throws, and gives only names that a Device can have', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map(header),
          bytes.map((b) => `Basic ${b.toString('base64')}`),
        ),
        (text) => {
          const read = readBasic(text);
          if (read !== undefined) expect(`${read.device}.${read.namespace}`).toMatch(/^[a-z0-9-]{1,63}\.[a-z0-9-]{1,63}$/);
        },
      ),
      { numRuns: 5_000 },
    );
  });
});

describe('a token', () => {
  const record = (change: object = {}) => ({ sha256: SHA256, expires: NOW + 1, usedFor: undefined, ...change });
  it.each([
    ['is fresh', record(), SECRET, 'fresh'],
    ['is another one', record(), `${SECRET}x`, 'other'],
    ['is unknown', undefined, SECRET, 'other'],
    ['is unknown, however it is spelled', undefined, '', 'other'],
    ['has expired', record({ expires: NOW }), SECRET, 'expired'],
    ['has expired, also for the request that it was used for', record({ expires: NOW, usedFor: REQUEST }), SECRET, 'expired'],
    ['is good again for the request that it was used for', record({ usedFor: REQUEST }), SECRET, 'used for this request'],
    ['is burnt for every other', record({ usedFor: 'b'.repeat(64) }), SECRET, 'used'],
    ['is burnt for a request that did not read', record({ usedFor: REQUEST }), SECRET, 'used', ''],
  ] as const)('%s', (_name, known, token, verdict, request: string = REQUEST) =>
    expect(judgeToken(known, token, request, NOW)).toBe(verdict),
  );

  it('is kept as a hash, an end and, after the use, the request', () => {
    const text = `sha256:${SHA256} 2026-03-01T00:00:00Z`;
    expect(readTokenRecord(text)).toEqual({ sha256: SHA256, expires: NOW, usedFor: undefined });
    expect(readTokenRecord(`${text}\n`)).toBeDefined();
    expect(readTokenRecord(usedRecord(record(), REQUEST))).toEqual(record({ usedFor: REQUEST }));
  });

  it.each([
    '',
    SECRET,
    `sha256:${SHA256}`,
    `sha256:${SHA256} soon`,
    `sha256:${SHA256} 2026-13-01T00:00:00Z`,
    `sha256:${SHA256} 2026-03-01T00:00:00Z x`,
  ])('%j is no entry', (text) => expect(readTokenRecord(text)).toBeUndefined());

  it('is forgotten a day after its end, and what does not read is left to a person', () => {
    const encoded = (text: string): string => Buffer.from(text).toString('base64');
    const entries = {
      old: encoded(`sha256:${SHA256} 2026-02-27T23:59:59Z`),
      used: encoded(`sha256:${SHA256} 2026-02-27T23:59:59Z ${REQUEST}`),
      late: encoded(`sha256:${SHA256} 2026-02-28T23:00:00Z`),
      fresh: encoded(`sha256:${SHA256} 2026-03-02T00:00:00Z`),
      junk: encoded('junk'),
    };
    expect(forgettable(entries, NOW)).toEqual(['old', 'used']);
  });
});

describe('the answers', () => {
  it('have stable codes in order, a title that is not given twice, and a status of RFC 9110', () => {
    const codes = Object.keys(ERRORS);
    expect(codes).toEqual(codes.toSorted());
    expect(new Set(Object.values(ERRORS).map((e) => e.title)).size).toBe(codes.length);
    for (const [code, { status, cause, cure }] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^HR-EST-\d{3}$/);
      expect([202, 400, 401, 403, 404, 405, 413, 415, 429, 503]).toContain(status);
      expect(`${cause}${cure}`).not.toMatch(/\.$/);
    }
    expect(statusOf(refuse('HR-EST-041'))).toBe(202);
    expect(refuse('HR-EST-010', 'found').message).toMatch(/^HR-EST-010: found\. Cure: /);
  });

  it('certs-only of nothing is a PKCS#7 too, in lines of 64 characters', () => {
    expect(certsOnly([]).subarray(4, 15).toString('hex')).toContain('2a864886f70d010702');
    expect(base64Lines(Buffer.alloc(100)).split('\n')[0]).toHaveLength(64);
  });
});

describe('limits', () => {
  it('are a burst for each, then one at a time, and nobody pays for another', async () => {
    const clock = new FakeClock();
    const limiter = createLimiter({ burst: 2, refillEveryMs: 1_000, clock });
    expect([limiter.take('a'), limiter.take('a'), limiter.take('a'), limiter.take('b')]).toEqual([true, true, false, true]);
    await clock.advance(1_000);
    expect([limiter.take('a'), limiter.take('a')]).toEqual([true, false]);
  });

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ])('count %j as %s', (address, key) => expect(limitKey(address)).toBe(key));

  it('hold a bounded number of buckets, whoever asks', async () => {
    const clock = new FakeClock();
    const limiter = createLimiter({ burst: 2, refillEveryMs: 1_000, clock });
    for (let n = 0; n < 10_000; n++) limiter.take(`address-${n}`);
    // All others share one bucket until some are full again.
    expect([limiter.take('x'), limiter.take('y'), limiter.take('z')]).toEqual([true, true, false]);
    await clock.advance(1_000);
    expect([limiter.take('x'), limiter.take('y'), limiter.take('z')]).toEqual([true, true, true]);
  });
});

describe('the flags of operator est', () => {
  const files = ['--tls-cert-file', 'a', '--tls-key-file', 'b', '--device-ca-file', 'c'];
  it('have defaults, and need the files', () => {
    expect(parseEstOptions(files)).toMatchObject({
      kind: 'options',
      options: { port: 8443, waitSeconds: 10, addressBurst: 600, defaultIssuer: { kind: 'Issuer', name: 'hedgerow-devices' } },
    });
    expect(parseEstOptions([])).toMatchObject({ kind: 'wrong', message: expect.stringContaining('is required') });
    expect(parseEstOptions(['--help'])).toEqual({ kind: 'help' });
  });
  it.each([
    ['--port', '70000'],
    ['--port', ''],
    ['--wait', '31'],
    ['--address-burst', '0'],
    ['--default-issuer', 'Issuer/a/b'],
    ['--log-level', 'loud'],
    ['--broker-url', 'x'],
  ])('refuse %s %s', (flag, value) => expect(parseEstOptions([...files, flag, value]).kind).toBe('wrong'));
});
