import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { verifyExisting } from './existing.ts';
import { dictatedSubject, type Subject } from './subject.ts';
import { issue, makeCsr } from './testing/authority.ts';
import { derOf, OpenSsl } from './testing/openssl.ts';
import { HOUR, NOW } from './testing/scene.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());

const SUBJECT = dictatedSubject({ name: 'thermo-17', namespace: 'berlin', segment: 'office' }) as Subject;
const lifetime = { notBefore: NOW, notAfter: NOW + 720 * HOUR };
const csr = await makeCsr();
const verify = (pem: string | undefined) => verifyExisting(pem, SUBJECT);
const said = (pem: string | undefined): string => {
  const verdict = verify(pem);
  return verdict.ok ? `${verdict.organizationalUnit ?? 'another subject'}, by ${verdict.issuer}` : verdict.code;
};
/** Self-signed by openssl, so of any kind of key and any extensions. */
const made = (subject: string, newkey: string[], ...args: string[]): string =>
  ssl.run(['req', '-x509', '-nodes', '-keyout', ssl.write(''), '-subj', subject, '-newkey', ...newkey, ...args]).toString();
const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const NO_CA = ['-addext', 'basicConstraints=critical,CA:false'];
const named = (subject: readonly [string, string][]): Promise<string> => issue(csr, { ...lifetime, subject });

describe('a certificate of another CA', () => {
  it('is known by its bytes, as openssl sees them', async () => {
    const pem = await issue(csr, lifetime);
    const verdict = verify(pem);
    const print = ssl.run(['x509', '-noout', '-fingerprint', '-md5', '-serial', '-in', ssl.write(pem)]).toString();
    const plain = print.replaceAll(':', '').toLowerCase();
    expect(verdict.ok && plain.includes(`fingerprint=${verdict.facts.md5}`) && plain.includes(`serial=${verdict.facts.serial}`)).toBe(true);
  });

  it.each<[what: string, pem: () => string | Promise<string>, expected: string]>([
    ['with exactly our subject may connect where its CA is trusted', () => issue(csr, lifetime), 'office.berlin, by External//site-root'],
    [
      'of another segment of the namespace is as a device that moves',
      () =>
        named([
          ['O', 'hedgerow'],
          ['OU', 'lab.berlin'],
          ['CN', 'thermo-17.berlin'],
        ]),
      'lab.berlin, by External//site-root',
    ],
    [
      'with any other subject is fine',
      () =>
        named([
          ['CN', 'sensor 4711'],
          ['O', 'Acme'],
        ]),
      'another subject, by External//site-root',
    ],
    ['without a subject is fine', () => made('/', EC, ...NO_CA), 'another subject, by External//unnamed'],
    ['of RSA with 2048 bits is fine', () => made('/CN=Old & wise', ['rsa:2048'], ...NO_CA), 'another subject, by External//Old-wise'],
    ['of P-521 is fine', () => made('/CN=x', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-521'], ...NO_CA), 'another subject, by External//x'],
    ['of Ed25519 is fine', () => made('/CN=x', ['ed25519'], ...NO_CA), 'another subject, by External//x'],
    [
      'for clients among others is fine',
      () => issue(csr, { ...lifetime, usages: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'] }),
      'office.berlin, by External//site-root',
    ],
    ['for anything is fine', () => issue(csr, { ...lifetime, usages: ['2.5.29.37.0'] }), 'office.berlin, by External//site-root'],

    ['of RSA with 1024 bits is refused', () => made('/CN=x', ['rsa:1024'], ...NO_CA), 'HR-ID-072'],
    ['with the exponent 3 is refused', () => made('/CN=x', ['rsa:2048', '-pkeyopt', 'rsa_keygen_pubexp:3'], ...NO_CA), 'HR-ID-072'],
    ['of secp256k1 is refused', () => made('/CN=x', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'], ...NO_CA), 'HR-ID-072'],
    ['of Ed448 is refused', () => made('/CN=x', ['ed448'], ...NO_CA), 'HR-ID-072'],
    ['of a CA is refused', () => issue(csr, { ...lifetime, isCa: true }), 'HR-ID-073'],
    ['for servers alone is refused', () => issue(csr, { ...lifetime, usages: ['1.3.6.1.5.5.7.3.1'] }), 'HR-ID-073'],
    ['that may not sign is refused', () => issue(csr, { ...lifetime, keyUsage: 4 }), 'HR-ID-073'],
    ['with the name of another device is refused', async () => issue(await makeCsr({ device: 'other' }), lifetime), 'HR-ID-074'],
    ['of another namespace is refused', async () => issue(await makeCsr({ namespace: 'paris' }), lifetime), 'HR-ID-074'],
    [
      'of a segment of another namespace is refused',
      () =>
        named([
          ['O', 'hedgerow'],
          ['OU', 'office.paris'],
          ['CN', 'thermo-17.berlin'],
        ]),
      'HR-ID-074',
    ],
    [
      'with our names in another order is refused',
      () =>
        named([
          ['CN', 'thermo-17.berlin'],
          ['OU', 'office.berlin'],
          ['O', 'hedgerow'],
        ]),
      'HR-ID-074',
    ],
    [
      'with more than our names is refused',
      () =>
        named([
          ['O', 'hedgerow'],
          ['OU', 'office.berlin'],
          ['CN', 'thermo-17.berlin'],
          ['L', 'x'],
        ]),
      'HR-ID-074',
    ],
    [
      'with our organization in capitals is refused',
      () =>
        named([
          ['O', 'Hedgerow'],
          ['OU', 'office.berlin'],
          ['CN', 'thermo-17.berlin'],
        ]),
      'HR-ID-074',
    ],
    [
      'with a wildcard for a segment is refused',
      () =>
        named([
          ['O', 'hedgerow'],
          ['OU', '+.berlin'],
          ['CN', 'thermo-17.berlin'],
        ]),
      'HR-ID-074',
    ],
  ])('%s', async (_what, pem, expected) => {
    expect(said(await pem())).toBe(expected);
  });

  it('that is none is refused', async () => {
    const pem = await issue(csr, lifetime);
    const der = derOf(pem);
    const armoured = (bytes: Buffer): string => `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
    expect(said(armoured(der))).toContain('office.berlin');
    for (const text of [
      ...['hello', csr, `${pem}${pem}`, `x\n${pem}`, pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'), pem.slice(0, 200)],
      ...[armoured(Buffer.concat([der, Buffer.from([0])])), armoured(der.subarray(0, -1)), armoured(Buffer.alloc(3000))],
      `${pem}${' '.repeat(20_000)}`,
    ])
      expect(said(text)).toBe('HR-ID-071');
    expect([said(undefined), said(''), said(' \n')]).toEqual(['HR-ID-070', 'HR-ID-070', 'HR-ID-070']);
  });
});

describe('hostile bytes', () => {
  it('are read or refused, whatever they are, and never taken for another name of ours', async () => {
    const seeds = await Promise.all([issue(csr, lifetime), named([['CN', 'sensor']]), made('/CN=x', ['rsa:2048'])]);
    const ders = seeds.map(derOf);
    const mutated = fc
      .tuple(
        fc.constantFrom(...ders),
        fc.array(fc.record({ at: fc.nat(2_000), to: fc.nat(255), insert: fc.boolean() }), { minLength: 1, maxLength: 8 }),
      )
      .map(([der, changes]) => {
        let bytes = Buffer.from(der);
        for (const { at, to, insert } of changes) {
          const where = at % bytes.length;
          if (insert) bytes = Buffer.concat([bytes.subarray(0, where), Buffer.from([to]), bytes.subarray(where)]);
          else bytes[where] = to;
        }
        return `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.string({ maxLength: 300 })), (pem) => {
        const verdict = verify(pem);
        if (!verdict.ok) expect(verdict.message).toMatch(/^HR-ID-07\d: .+ Cure: /);
        else if (/(^|\n)O=hedgerow(\n|$)/i.test(verdict.facts.subject)) expect(verdict.organizationalUnit).toMatch(/^[a-z0-9-]+\.berlin$/);
        if (verdict.ok) expect(verdict.issuer).toMatch(/^External\/\/[A-Za-z0-9._-]{1,64}$/);
      }),
      { numRuns: 5_000 },
    );
  });
});
