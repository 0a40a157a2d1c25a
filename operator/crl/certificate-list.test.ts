// CRLs as others read them: openssl, and the ASN.1 library that does not share a line with our writer.
import { AsnConvert } from '@peculiar/asn1-schema';
import { AuthorityKeyIdentifier, CertificateList, CRLNumber, CRLReason, id_ce_cRLNumber, id_ce_cRLReasons } from '@peculiar/asn1-x509';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { derOf, OpenSsl } from '../identity/testing/openssl.ts';
import { type CrlReason, encodeRevoked, pemOf, REASON_CODES, type Revoked } from './certificate-list.ts';
import { integer, time } from './der.ts';
import { makeList } from './publisher.ts';
import { authorityOf, type Ca, KEYS, makeCa, makeLeaf, verdict } from './testing/ca.ts';

const NOW = Date.now();
const WEEK_MS = 7 * 86_400_000;
const ssl = new OpenSsl();
const cas = new Map<string, Ca>();

beforeAll(() => {
  for (const [name, key] of Object.entries(KEYS)) cas.set(name, makeCa(ssl, key));
});
afterAll(() => ssl[Symbol.dispose]());

const ca = (name: string): Ca => cas.get(name) ?? expect.fail(name);
const listOf = (name: string, revoked: readonly Revoked[], now = NOW) =>
  makeList(authorityOf(ca(name)), revoked.map(encodeRevoked), { now, validityMs: WEEK_MS, previous: undefined });
const revoked = (serial: string, reason: CrlReason = 'keyCompromise'): Revoked => ({ serial, revokedAtMs: NOW - 5_000, reason });
const parse = (der: Buffer): CertificateList => AsnConvert.parse(der, CertificateList);

describe('a list signed with a key of type', () => {
  it.each(Object.keys(KEYS))('%s is verified by openssl, which refuses whom it names and nobody else', (name) => {
    const list = listOf(name, [revoked('5e41'), revoked('f0')]);
    const crl = ssl.write(list.pem.toString());
    const text = ssl.run(['crl', '-in', crl, '-verify', '-CAfile', ca(name).file, '-noout', '-text']).toString();
    expect(text).toMatch(/Version 2[\s\S]*CRL Number:\s+(?:0x)?[0-9A-F]+[\s\S]*Serial Number: 5E41[\s\S]*Key Compromise/);
    expect(verdict(ssl, ca(name), list.pem, makeLeaf(ssl, ca(name), '5e41'))).toBe('certificate revoked');
    expect(verdict(ssl, ca(name), list.pem, makeLeaf(ssl, ca(name), 'f0'))).toBe('certificate revoked');
    expect(verdict(ssl, ca(name), list.pem, makeLeaf(ssl, ca(name), '5e42'))).toBe('OK');
  });
});

describe('a list', () => {
  it('that is empty has no list of entries at all, and openssl lets everybody in', () => {
    const list = listOf('P-256', []);
    expect(parse(list.der).tbsCertList.revokedCertificates).toBeUndefined();
    expect(verdict(ssl, ca('P-256'), list.pem, makeLeaf(ssl, ca('P-256'), '01'))).toBe('OK');
  });

  it('serves certificates with a distribution point and without one alike', () => {
    const list = listOf('P-256', [revoked('aa')]);
    for (const extension of ['crlDistributionPoints=URI:http://crl.example.org/crl/berlin/devices.pem\n', 'basicConstraints=CA:FALSE\n']) {
      expect(verdict(ssl, ca('P-256'), list.pem, makeLeaf(ssl, ca('P-256'), 'ab', extension))).toBe('OK');
      expect(verdict(ssl, ca('P-256'), list.pem, makeLeaf(ssl, ca('P-256'), 'aa', extension))).toBe('certificate revoked');
    }
  });

  it('is refused by openssl when a byte of it was changed, and when it is another CA that signed it', () => {
    const { der } = listOf('P-256', [revoked('aa')]);
    const changed = Buffer.from(der);
    changed.writeUInt8(0xab, der.indexOf(Buffer.from([0x02, 0x02, 0x00, 0xaa])) + 3);
    expect(verdict(ssl, ca('P-256'), pemOf(changed), makeLeaf(ssl, ca('P-256'), '01'))).toBe('CRL signature failure');
    expect(verdict(ssl, ca('P-256'), listOf('P-384', []).pem, makeLeaf(ssl, ca('P-256'), '01'))).not.toBe('OK');
  });

  it('expires when it says so', () => {
    const list = listOf('P-256', [], NOW - WEEK_MS - 1_000);
    expect(verdict(ssl, ca('P-256'), list.pem, makeLeaf(ssl, ca('P-256'), '01'))).toBe('CRL has expired');
  });

  it('carries issuer and key identifier of its CA byte for byte', () => {
    const { der } = listOf('P-256', []);
    const { tbsCertList } = parse(der);
    expect(Buffer.from(AsnConvert.serialize(tbsCertList.issuer))).toEqual(authorityOf(ca('P-256')).issuer);
    const value = tbsCertList.crlExtensions?.find(({ extnID }) => extnID === '2.5.29.35')?.extnValue;
    const { keyIdentifier } = AsnConvert.parse(value?.buffer ?? new ArrayBuffer(0), AuthorityKeyIdentifier);
    expect(Buffer.from(keyIdentifier?.buffer ?? new ArrayBuffer(0))).toEqual(authorityOf(ca('P-256')).keyId);
    expect(derOf(listOf('P-256', []).pem.toString()).length).toBeGreaterThan(100);
  });

  it('whatever stands in the ledger: comes back out of the ASN.1 library as it went in', () => {
    const serial = fc.stringMatching(/^[0-9a-f]{1,64}$/);
    const at = fc.integer({ min: -1e15, max: 1e15 });
    const reason = fc.constantFrom(...(Object.keys(REASON_CODES) as CrlReason[]));
    const entries = fc.uniqueArray(fc.record({ serial, revokedAtMs: at, reason }), {
      selector: (one) => BigInt(`0x${one.serial}`),
      maxLength: 40,
    });
    fc.assert(
      fc.property(entries, (all) => {
        const { tbsCertList } = parse(listOf('Ed25519', all).der);
        const seen = (tbsCertList.revokedCertificates ?? []).map((one) => ({
          serial: BigInt(`0x${Buffer.from(one.userCertificate).toString('hex')}`),
          at: one.revocationDate.getTime().getTime(),
          reason: AsnConvert.parse(
            one.crlEntryExtensions?.find(({ extnID }) => extnID === id_ce_cRLReasons)?.extnValue.buffer ?? new ArrayBuffer(0),
            CRLReason,
          ).reason,
        }));
        const within = (ms: number): number => Math.min(Math.max(ms, 0), Date.parse('9999-12-31T23:59:59Z'));
        expect(seen).toEqual(
          all.map((one) => ({
            serial: BigInt(`0x${one.serial}`),
            at: Math.floor(within(one.revokedAtMs) / 1000) * 1000,
            reason: REASON_CODES[one.reason],
          })),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('has a number that grows with every list, whatever the clock does meanwhile', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4e12 }), { minLength: 2, maxLength: 20 }), (times) => {
        let previous: ReturnType<typeof makeList> | undefined;
        let last = -1n;
        for (const now of times) {
          previous = makeList(authorityOf(ca('Ed25519')), [], { now, validityMs: WEEK_MS, previous });
          const extension = parse(previous.der).tbsCertList.crlExtensions?.find(({ extnID }) => extnID === id_ce_cRLNumber);
          const value = AsnConvert.parse(extension?.extnValue.buffer ?? new ArrayBuffer(0), CRLNumber).value;
          const number = BigInt(value);
          expect(number).toBe(BigInt(previous.number));
          expect(number).toBeGreaterThan(last);
          last = number;
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('DER', () => {
  it.each([
    ['0', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['00000080', '02020080'],
    ['abc', '02020abc'],
  ])('writes the serial number %s as the shortest INTEGER', (hex, bytes) => expect(integer(hex).toString('hex')).toBe(bytes));

  it.each([
    ['2049-12-31T23:59:59.999Z', '170d3439313233313233353935395a'],
    ['2050-01-01T00:00:00Z', '180f32303530303130313030303030305a'],
    ['1969-07-20T20:17:00Z', '170d3730303130313030303030305a'],
  ])('writes %s as RFC 5280 wants it', (iso, bytes) => expect(time(Date.parse(iso)).toString('hex')).toBe(bytes));
});
