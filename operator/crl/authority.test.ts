// Which CAs may sign CRLs, and that nothing of a key is ever said.
import { afterAll, describe, expect, it } from 'vitest';
import { OpenSsl } from '../identity/testing/openssl.ts';
import { isProblem, readAuthority } from './authority.ts';
import { explain } from './errors.ts';
import { authorityOf, KEYS, makeCa } from './testing/ca.ts';

const ssl = new OpenSsl();
afterAll(() => ssl[Symbol.dispose]());

const ca = makeCa(ssl, KEYS['P-256']);
const other = makeCa(ssl, KEYS['P-256']);
const leaf = ssl.run(['req', '-x509', '-new', '-key', ca.keyFile, '-subj', '/CN=x', '-addext', 'basicConstraints=CA:FALSE']).toString();
const encrypted = ssl.run(['pkcs8', '-topk8', '-passout', 'pass:secret', '-in', ca.keyFile]).toString();
const withoutUsage = makeCa(ssl, KEYS['P-256'], { usage: 'keyCertSign,digitalSignature' });
const unusual = makeCa(ssl, ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1']);

describe('a CA', () => {
  it('with cRLSign signs, also with its chain behind it and its key in the SEC 1 form', () => {
    const sec1 = ssl.run(['ec', '-in', ca.keyFile]).toString();
    expect(sec1).toContain('EC PRIVATE KEY');
    expect(authorityOf({ certificatePem: ca.certificatePem + other.certificatePem, keyPem: sec1 }).spki).toBe(authorityOf(ca).spki);
  });

  it.each([
    ['garbage for a certificate', 'garbage', ca.keyPem, 'HR-CRL-010'],
    ['garbage for a key', ca.certificatePem, 'garbage', 'HR-CRL-011'],
    ['a key with a pass phrase', ca.certificatePem, encrypted, 'HR-CRL-011'],
    ['the public part for a key', ca.certificatePem, ssl.run(['pkey', '-in', ca.keyFile, '-pubout']).toString(), 'HR-CRL-011'],
    ['the key of another CA', ca.certificatePem, other.keyPem, 'HR-CRL-012'],
    ['the certificate of no CA', leaf, ca.keyPem, 'HR-CRL-013'],
    ['a key usage without cRLSign', withoutUsage.certificatePem, withoutUsage.keyPem, 'HR-CRL-013'],
    ['a curve that nobody uses for this', unusual.certificatePem, unusual.keyPem, 'HR-CRL-014'],
  ])('with %s is refused by its code, and nothing of the key is in the words', (_what, certificatePem, keyPem, code) => {
    const read = readAuthority(certificatePem, keyPem);
    if (!isProblem(read)) return expect.fail('it was taken');
    expect(read.code).toBe(code);
    const said = explain(read);
    expect(said).toContain(code);
    for (const line of keyPem.split('\n').filter((one) => one.length > 20)) expect(said).not.toContain(line);
    return undefined;
  });

  it('does not show its key when it is printed', () => {
    const shown = JSON.stringify(authorityOf(ca)) + String(Object.values(authorityOf(ca)));
    const secret = Buffer.from(ca.keyPem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    expect(shown).not.toContain(secret.subarray(36, 68).toString('hex'));
    expect(shown).not.toContain(ca.keyPem.split('\n')[1]);
  });
});
