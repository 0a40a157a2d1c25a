// The reader of lists against our own writer, openssl's writer, and bytes that are no list.
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OpenSsl } from '../identity/testing/openssl.ts';
import { encodeRevoked, type Revoked } from './certificate-list.ts';
import { makeList } from './publisher.ts';
import { isSignedBy, plainSerial, readList } from './read-list.ts';
import { authorityOf, type Ca, KEYS, makeCa } from './testing/ca.ts';

const NOW = Math.floor(Date.now() / 1000) * 1000;
const DAY_MS = 86_400_000;
const ssl = new OpenSsl();
const cas = new Map<string, Ca>();

beforeAll(() => {
  for (const [name, key] of Object.entries(KEYS)) cas.set(name, makeCa(ssl, key));
});
afterAll(() => ssl[Symbol.dispose]());

const ca = (name: string): Ca => cas.get(name) ?? expect.fail(name);
const certificateOf = (name: string) => new X509Certificate(ca(name).certificatePem);
const revoked = (serial: string): Revoked => ({ serial, revokedAtMs: NOW - 5_000, reason: 'keyCompromise' });
const listOf = (name: string, serials: readonly string[]): Buffer =>
  makeList(authorityOf(ca(name)), serials.map(revoked).map(encodeRevoked), { now: NOW, validityMs: DAY_MS, previous: undefined }).der;

describe('a list', () => {
  it.each(Object.keys(KEYS))('of a %s CA reads back with its times and serial numbers, and is signed by that CA and no other', (name) => {
    const list = readList(listOf(name, ['5e41', 'f0', '7fffffffffffffffffffffffffffffffffffffff']));
    if (list === undefined) return expect.fail('it does not read');
    expect([...list.serials].sort()).toEqual(['5e41', '7fffffffffffffffffffffffffffffffffffffff', 'f0']);
    expect(list.nextUpdateMs).toBe(NOW + DAY_MS);
    expect(list.thisUpdateMs).toBeLessThanOrEqual(NOW);
    for (const other of Object.keys(KEYS)) expect(isSignedBy(list, certificateOf(other))).toBe(other === name);
  });

  it('that is empty names nobody', () => expect(readList(listOf('P-256', []))?.serials.size).toBe(0));

  it('that openssl wrote reads as well', () => {
    const { file, keyFile } = ca('RSA');
    const index = ssl.write('R\t300101000000Z\t251101000000Z\t00C0FFEE\tunknown\t/CN=x\n');
    const config = ssl.write(
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${join(ssl.dir, index)}\ndefault_md=sha384\ndefault_crl_days=3\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n`,
    );
    const pem = ssl.run(['ca', '-gencrl', '-config', config, '-cert', file, '-keyfile', keyFile]).toString();
    const der = Buffer.from(pem.replaceAll(/-----.*-----|\s/g, ''), 'base64');
    const list = readList(der);
    expect([...(list?.serials ?? [])]).toEqual(['c0ffee']);
    expect(list !== undefined && isSignedBy(list, certificateOf('RSA'))).toBe(true);
  });

  it('of 100,000 certificates is read in little time', () => {
    const serials = Array.from({ length: 100_000 }, (_, at) => `1${at.toString(16).padStart(31, '0')}`);
    const der = listOf('P-256', serials);
    const startedAt = performance.now();
    expect(readList(der)?.serials.size).toBe(100_000);
    // Measured 0.1 s; what is not linear takes minutes.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

describe('what is no list, or not the one it says', () => {
  it('with a byte changed it does not read or is not signed any more, whichever byte', () => {
    const der = listOf('P-256', ['5e41', 'f0']);
    const authority = certificateOf('P-256');
    for (let at = 0; at < der.length; at++) {
      const changed = Buffer.from(der);
      changed.writeUInt8((der[at] ?? 0) ^ 0x01, at);
      const list = readList(changed);
      expect(list !== undefined && isSignedBy(list, authority), `byte ${at}`).toBe(false);
    }
  });

  it('a critical extension makes it unusable: it may be about some certificates only', () => {
    const der = listOf('P-256', ['aa']);
    const number = Buffer.from('0603551d14', 'hex');
    const at = der.indexOf(number);
    // The value of CRLNumber begins with OCTET STRING; a BOOLEAN in its place is where `critical` stands.
    const changed = Buffer.from(der);
    changed.writeUInt8(0x01, at + number.length);
    expect(readList(der)).toBeDefined();
    expect(readList(changed)).toBeUndefined();
  });

  it('any bytes give an answer: a list or none', () => {
    const der = listOf('P-256', ['5e41', 'f0']);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(der.length), fc.nat(der.length), (noise, cut, at) => {
        readList(Buffer.from(noise));
        expect(readList(der.subarray(0, Math.min(cut, der.length - 1)))).toBeUndefined();
        const mixed = Buffer.concat([der.subarray(0, at), Buffer.from(noise), der.subarray(at)]);
        const list = readList(mixed);
        if (noise.length > 0) expect(list !== undefined && isSignedBy(list, certificateOf('P-256'))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a serial number', () => {
  it('is the same however many zeros are before it and whatever the case', () =>
    expect([plainSerial('00C0FFEE'), plainSerial('c0ffee'), plainSerial('00')]).toEqual(['c0ffee', 'c0ffee', '0']));
});
