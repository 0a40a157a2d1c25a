// What openssl makes of every wrong wish, and what becomes of a good request when bytes are changed: each refused with its code, none accepted by accident.
import { createPublicKey, randomBytes } from 'node:crypto';
import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { MAX_CSR_CHARS, verifyCsr } from './csr.ts';
import type { IdentityCode } from './errors.ts';
import { dictatedSubject, opensslCommand, type Subject } from './subject.ts';
import { derOf, OpenSsl, pemOf, SUBJECT } from './testing/openssl.ts';

const subject = dictatedSubject({ name: 'thermo-17', namespace: 'berlin', segment: 'office' }) as Subject;
const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());

const ec = (curve: string, ...args: string[]): string => ssl.key('-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`, ...args);
const rsa = (bits: number, ...args: string[]): string => ssl.key('-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${bits}`, ...args);
const rsa3072 = rsa(3072);
const withExtensions = (...extensions: string[]): string => ssl.request({ args: extensions.flatMap((text) => ['-addext', text]) });
/** openssl's bits for the string types of a name (asn1.h, B_ASN1_*). */
const withStrings = (mask: string): string => ssl.request({ config: `[req]\ndistinguished_name=dn\nstring_mask=${mask}\n[dn]\n` });
const withAttribute = (line: string): string =>
  ssl.request({
    subject: null,
    config: `[req]\nprompt=no\ndistinguished_name=dn\nattributes=a\n[dn]\nO=hedgerow\nOU=office.berlin\nCN=thermo-17.berlin\n[a]\n${line}\n`,
  });
const certificate = (): string => ssl.run(['x509', '-req', '-key', ec('P-256'), '-days', '1'], ssl.request()).toString();
const relabelled = (pem: string): string => pemOf(derOf(pem));

/** The request of one key with the public key of another: nobody proved to hold that one. */
function otherKey(): string {
  const request = AsnConvert.parse(derOf(ssl.request()), CertificationRequest);
  const other = AsnConvert.parse(derOf(ssl.request()), CertificationRequest);
  request.certificationRequestInfo.subjectPKInfo = other.certificationRequestInfo.subjectPKInfo;
  delete request.certificationRequestInfoRaw;
  return pemOf(Buffer.from(AsnConvert.serialize(request)));
}

/** A request around any RSA key; its signature is not that key's. */
function rsaKey(bits: number, exponent: string): string {
  const modulus = randomBytes(bits / 8);
  modulus[0] = 0x80 | (modulus[0] as number);
  modulus[modulus.length - 1] = 1 | (modulus.at(-1) as number);
  const key = createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: exponent }, format: 'jwk' });
  const request = AsnConvert.parse(derOf(ssl.request({ key: rsa3072 })), CertificationRequest);
  request.certificationRequestInfo.subjectPKInfo = AsnConvert.parse(key.export({ format: 'der', type: 'spki' }), SubjectPublicKeyInfo);
  delete request.certificationRequestInfoRaw;
  return pemOf(Buffer.from(AsnConvert.serialize(request)));
}

const REFUSED: readonly (readonly [IdentityCode, string, () => string])[] = [
  ['HR-ID-001', 'an empty text', () => ''],
  ['HR-ID-001', 'white space', () => ' \n\t\n'],
  ['HR-ID-002', 'two requests in one text', () => ssl.request() + ssl.request()],
  ['HR-ID-002', 'garbage after the request', () => `${ssl.request()}garbage`],
  ['HR-ID-002', 'the text that openssl prints before a request', () => ssl.request({ args: ['-text'] })],
  ['HR-ID-002', 'the label NEW CERTIFICATE REQUEST', () => ssl.request({ args: ['-newhdr'] })],
  ['HR-ID-002', 'a certificate', certificate],
  ['HR-ID-002', 'PKCS#7', () => ssl.run(['crl2pkcs7', '-nocrl', '-certfile', ssl.write(certificate())]).toString()],
  ['HR-ID-002', 'an encrypted private key', () => ssl.file(ec('P-256', '-aes-256-cbc', '-pass', 'pass:geheim'))],
  ['HR-ID-002', 'a private key', () => ssl.file(ec('P-256'))],
  ['HR-ID-002', 'a public key', () => ssl.run(['pkey', '-in', ec('P-256'), '-pubout']).toString()],
  ['HR-ID-002', 'DER instead of PEM', () => derOf(ssl.request()).toString('latin1')],
  ['HR-ID-002', 'base64 without its armour', () => derOf(ssl.request()).toString('base64')],
  ['HR-ID-002', 'headers as of RFC 1421', () => ssl.request().replace('\n', '\nProc-Type: 4,CLEAR\n\n')],
  ['HR-ID-002', 'a byte order mark', () => `\u00ef\u00bb\u00bf${ssl.request()}`],
  ['HR-ID-003', 'a request with hundreds of host names', () => withExtensions(`subjectAltName=${names(400)}`)],
  ['HR-ID-003', 'a good request and much white space', () => ssl.request() + '\n'.repeat(MAX_CSR_CHARS)],
  ['HR-ID-004', 'a certificate under the label of a request', () => relabelled(certificate())],
  ['HR-ID-004', 'a key under the label of a request', () => relabelled(ssl.file(ec('P-256')))],
  ['HR-ID-004', 'a byte after the request inside the PEM', () => pemOf(Buffer.concat([derOf(ssl.request()), Buffer.from([0])]))],
  [
    'HR-ID-004',
    'a length in more bytes than it needs (BER)',
    () => pemOf(longLength(derOf(ssl.request({ key: ssl.key('-algorithm', 'ED25519') })))),
  ],
  ['HR-ID-004', 'a version other than v1', () => pemOf(replaced(derOf(ssl.request()), '020100', '020101'))],
  ['HR-ID-005', 'the public key of another', otherKey],
  [
    'HR-ID-005',
    'a subject that was edited after the signature',
    () => pemOf(replaced(derOf(ssl.request({ subject: SUBJECT.replace('17', '18') })), hex('thermo-18'), hex('thermo-17'))),
  ],
  ['HR-ID-006', 'a key on P-224', () => ssl.request({ key: ec('P-224') })],
  ['HR-ID-006', 'a key on P-521', () => ssl.request({ key: ec('P-521') })],
  ['HR-ID-006', 'a key on secp256k1', () => ssl.request({ key: ec('secp256k1') })],
  ['HR-ID-006', 'a key on brainpoolP256r1', () => ssl.request({ key: ec('brainpoolP256r1') })],
  ['HR-ID-006', 'an Ed448 key', () => ssl.request({ key: ssl.key('-algorithm', 'ED448') })],
  ['HR-ID-006', 'an RSA-PSS key', () => ssl.request({ key: ssl.key('-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:3072') })],
  ['HR-ID-006', 'a DSA key', () => ssl.request({ key: dsa() })],
  ['HR-ID-006', 'P-256 with its parameters written out', () => ssl.request({ key: ec('P-256', '-pkeyopt', 'ec_param_enc:explicit') })],
  ['HR-ID-006', 'P-256 with a compressed point', () => ssl.request({ key: compressed() })],
  ['HR-ID-007', 'RSA with 1024 bits', () => ssl.request({ key: rsa(1024) })],
  ['HR-ID-007', 'RSA with 2048 bits', () => ssl.request({ key: rsa(2048) })],
  ['HR-ID-007', 'RSA with 3064 bits', () => rsaKey(3064, 'AQAB')],
  ['HR-ID-007', 'RSA with 9216 bits', () => rsaKey(9216, 'AQAB')],
  ['HR-ID-007', 'RSA with exponent 3', () => ssl.request({ key: rsa(3072, '-pkeyopt', 'rsa_keygen_pubexp:3') })],
  ['HR-ID-007', 'RSA with an even exponent', () => rsaKey(3072, 'AQAC')],
  ['HR-ID-007', 'RSA with an exponent over 31 bits', () => rsaKey(3072, 'AQAAAAE')],
  ['HR-ID-008', 'a signature with SHA-1', () => ssl.request({ args: ['-sha1'] })],
  ['HR-ID-008', 'a signature with MD5', () => ssl.request({ key: rsa3072, args: ['-md5'] })],
  ['HR-ID-008', 'a signature with SHA-224', () => ssl.request({ args: ['-sha224'] })],
  ['HR-ID-008', 'a signature with SHA3-256', () => ssl.request({ args: ['-sha3-256'] })],
  ['HR-ID-008', 'an RSA-PSS signature', () => ssl.request({ key: rsa3072, args: ['-sigopt', 'rsa_padding_mode:pss'] })],
  ['HR-ID-009', 'the subject of another device', () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin/CN=thermo-18.berlin' })],
  ['HR-ID-009', 'another segment', () => ssl.request({ subject: '/O=hedgerow/OU=gateways.berlin/CN=thermo-17.berlin' })],
  ['HR-ID-009', 'another namespace', () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin/CN=thermo-17.paris' })],
  ['HR-ID-009', 'the names in another order', () => ssl.request({ subject: '/CN=thermo-17.berlin/OU=office.berlin/O=hedgerow' })],
  [
    'HR-ID-009',
    'two organizational units',
    () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin/OU=gateways.berlin/CN=thermo-17.berlin' }),
  ],
  ['HR-ID-009', 'two common names', () => ssl.request({ subject: `${SUBJECT}/CN=thermo-18.berlin` })],
  ['HR-ID-009', 'no organization', () => ssl.request({ subject: '/OU=office.berlin/CN=thermo-17.berlin' })],
  ['HR-ID-009', 'no common name', () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin' })],
  ['HR-ID-009', 'an empty subject', () => ssl.request({ subject: '/' })],
  ['HR-ID-009', 'an e-mail address as well', () => ssl.request({ subject: `${SUBJECT}/emailAddress=a@b.c` })],
  ['HR-ID-009', 'a country before it', () => ssl.request({ subject: `/C=DE${SUBJECT}` })],
  ['HR-ID-009', 'two values in one relative name', () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin+CN=thermo-17.berlin' })],
  ['HR-ID-009', 'upper case', () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin/CN=Thermo-17.berlin' })],
  ['HR-ID-009', 'a space at the end', () => ssl.request({ subject: `${SUBJECT} ` })],
  ['HR-ID-009', 'a line feed in it', () => ssl.request({ subject: `${SUBJECT}\n` })],
  ['HR-ID-009', 'a control character in it', () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin/CN=thermo\u0001-17.berlin' })],
  ['HR-ID-009', 'a wildcard of topics in it', () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin/CN=#' })],
  [
    'HR-ID-009',
    'a letter that only looks the same',
    () => ssl.request({ subject: '/O=hedgerow/OU=office.berlin/CN=thermo-17.b\u0435rlin' }),
  ],
  ['HR-ID-009', 'BMPString', () => withStrings('MASK:0x800')],
  ['HR-ID-009', 'T61String', () => withStrings('MASK:0x4')],
  ['HR-ID-010', 'an extension that makes it a CA', () => withExtensions('basicConstraints=critical,CA:TRUE')],
  ['HR-ID-010', 'a host name', () => withExtensions('subjectAltName=DNS:broker.example.org')],
  ['HR-ID-010', 'server authentication', () => withExtensions('keyUsage=digitalSignature', 'extendedKeyUsage=serverAuth')],
  [
    'HR-ID-010',
    'client and server authentication',
    () => withExtensions('keyUsage=digitalSignature', 'extendedKeyUsage=clientAuth,serverAuth'),
  ],
  ['HR-ID-010', 'any usage at all', () => withExtensions('keyUsage=digitalSignature', 'extendedKeyUsage=anyExtendedKeyUsage')],
  [
    'HR-ID-010',
    'the right to sign certificates',
    () => withExtensions('keyUsage=digitalSignature,keyCertSign', 'extendedKeyUsage=clientAuth'),
  ],
  ['HR-ID-010', 'one of the two usages', () => withExtensions('keyUsage=digitalSignature')],
  [
    'HR-ID-010',
    'the right usages and a name constraint',
    () => withExtensions('keyUsage=digitalSignature', 'extendedKeyUsage=clientAuth', 'nameConstraints=permitted;DNS:x'),
  ],
  ['HR-ID-010', 'a subject key identifier', () => withExtensions('subjectKeyIdentifier=hash')],
  ['HR-ID-011', 'a challenge password', () => withAttribute('challengePassword=geheimgeheim')],
  ['HR-ID-011', 'an unstructured name', () => withAttribute('unstructuredName=x')],
];

function names(count: number): string {
  return Array.from({ length: count }, (_, i) => `DNS:host-${i}.example.org`).join(',');
}
function dsa(): string {
  const parameters = ssl.key('-genparam', '-algorithm', 'DSA', '-pkeyopt', 'dsa_paramgen_bits:1024');
  return ssl.key('-paramfile', parameters);
}
function compressed(): string {
  return ssl.write(ssl.run(['ec', '-in', ec('P-256'), '-conv_form', 'compressed']).toString());
}
/** The outer length of a short request, written in the long form that DER forbids for it. */
function longLength(der: Buffer): Buffer {
  const body = der.subarray(der[1] === 0x81 ? 3 : 4);
  return Buffer.concat([Buffer.from([0x30, 0x83, 0, body.length >> 8, body.length & 0xff]), body]);
}
const hex = (text: string): string => Buffer.from(text).toString('hex');
function replaced(der: Buffer, from: string, to: string): Buffer {
  const at = der.indexOf(Buffer.from(from, 'hex'));
  if (at < 0) throw new Error(`${from} is not in it`);
  return Buffer.concat([der.subarray(0, at), Buffer.from(to, 'hex'), der.subarray(at + to.length / 2)]);
}

describe('a request from a stranger', () => {
  it.each(REFUSED)('is refused with %s: %s', (code, _what, make) => {
    const verdict = verifyCsr(make(), subject);
    expect(verdict).toMatchObject({ ok: false, code });
    const message = verdict.ok ? '' : verdict.message;
    expect(message).toMatch(new RegExp(`^${code}: .+ Cure: .+`));
    expect(message.endsWith(opensslCommand(subject))).toBe(true);
    // It goes into a status and to terminals.
    expect(message).toMatch(/^[\x20-\x7e\u2026]+$/);
  });

  it.each<[string, string, () => string]>([
    ['P-256', 'P-256', () => ssl.request()],
    ['P-256 signed with SHA-512', 'P-256', () => ssl.request({ args: ['-sha512'] })],
    ['P-384', 'P-384', () => ssl.request({ key: ec('P-384') })],
    ['Ed25519', 'Ed25519', () => ssl.request({ key: ssl.key('-algorithm', 'ED25519') })],
    ['RSA with 3072 bits', 'RSA', () => ssl.request({ key: rsa3072 })],
    ['RSA with 3072 bits signed with SHA-384', 'RSA', () => ssl.request({ key: rsa3072, args: ['-sha384'] })],
    ['PrintableString', 'P-256', () => withStrings('MASK:0x2')],
    [
      'the usages that Hedgerow asks for',
      'P-256',
      () => withExtensions('keyUsage=critical,digitalSignature', 'extendedKeyUsage=clientAuth'),
    ],
  ])('is accepted with %s', (_what, keyKind, make) => expect(verifyCsr(make(), subject)).toMatchObject({ ok: true, keyKind }));

  it('is told the very command that makes the right one', () => {
    const verdict = verifyCsr(ssl.request({ subject: '/CN=whatever' }), subject);
    const command = /openssl req .+$/.exec(verdict.ok ? '' : verdict.message)?.[0] ?? '';
    ssl.bash(command);
    expect(verifyCsr(ssl.file('thermo-17.csr'), subject)).toMatchObject({ ok: true, keyKind: 'P-256' });
  });

  it('quotes at most a few hundred characters of what it found', () => {
    const verdict = verifyCsr(ssl.request({ subject: `/O=hedgerow${'/OU=office.berlin'.repeat(60)}` }), subject);
    expect(verdict.ok ? 0 : verdict.message.length).toBeLessThan(700);
  });
});

describe('a good request whose bytes were changed', () => {
  const kinds = [ec('P-256'), ec('P-384'), ssl.key('-algorithm', 'ED25519'), rsa3072].map((key) => {
    const pem = ssl.request({ key });
    const der = derOf(pem);
    const signed = Buffer.from(AsnConvert.parse(der, CertificationRequest).certificationRequestInfoRaw ?? new ArrayBuffer(0));
    return { pem, der, signed };
  });
  const signedOf = (pem: string): Buffer =>
    Buffer.from(AsnConvert.parse(derOf(pem), CertificationRequest).certificationRequestInfoRaw ?? new ArrayBuffer(0));

  it('is accepted only if what was signed is what it was; otherwise it is refused with a code', () => {
    const flip = fc.record({ at: fc.nat(2 ** 16), bits: fc.integer({ min: 1, max: 255 }) });
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.array(flip, { minLength: 1, maxLength: 3 }), ({ der, signed }, flips) => {
        const changed = Buffer.from(der);
        for (const { at, bits } of flips) changed[at % der.length] = (changed[at % der.length] as number) ^ bits;
        const verdict = verifyCsr(pemOf(changed), subject);
        if (verdict.ok) expect(signedOf(verdict.pem)).toEqual(signed);
        else expect(verdict.code).toMatch(/^HR-ID-0(0[1-9]|1[01])$/);
      }),
      { numRuns: 10_000 },
    );
  }, 60_000);

  it('in its text too', () => {
    const change = fc.record({ at: fc.nat(2 ** 16), to: fc.integer({ min: 0, max: 0x2fff }) });
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.array(change, { minLength: 1, maxLength: 3 }), ({ pem, signed }, changes) => {
        const text = [...pem];
        for (const { at, to } of changes) text[at % text.length] = String.fromCharCode(to);
        const verdict = verifyCsr(text.join(''), subject);
        if (verdict.ok) expect(signedOf(verdict.pem)).toEqual(signed);
        else expect(verdict.code).toMatch(/^HR-ID-0(0[1-9]|1[01])$/);
      }),
      { numRuns: 3_000 },
    );
  }, 60_000);
});
