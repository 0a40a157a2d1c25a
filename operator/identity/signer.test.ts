import 'reflect-metadata';
import { BasicConstraintsExtension, X509CertificateGenerator } from '@peculiar/x509';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAuthority, signerOf } from './signer.ts';
import { issue, makeCsr, makeRoot, type Root } from './testing/authority.ts';

const csr = await makeCsr();
const lifetime = { notBefore: Date.parse('2026-01-01'), notAfter: Date.parse('2026-02-01') };
const before = await makeRoot();
const after = await makeRoot();
const other = await makeRoot('other root');
const noCa = await makeRoot('site root', { isCa: false });
const leaf = await issue(csr, { ...lifetime, by: before });
const leafOfNoCa = await issue(csr, { ...lifetime, by: noCa });
const intermediate = await under(before, other);
const leafAfter = await issue(csr, { ...lifetime, by: after });

describe('which CA signed', () => {
  it.each<[string, string, string | undefined, string | undefined]>([
    ['the CA that the issuer tells', leaf, before.pem, before.pem],
    ['one of several, whatever their order', leaf, other.pem + before.pem, before.pem],
    ['one that stands in the chain', `${leaf}${before.pem}`, undefined, before.pem],
    ['after the rotation of a key under the same name: the new one', leafAfter, before.pem + after.pem, after.pem],
    ['nobody, when the CA is the one of before the rotation', leafAfter, before.pem, undefined],
    ['nobody, when the issuer tells none', leaf, undefined, undefined],
    ['nobody, when what is told is no CA', leafOfNoCa, noCa.pem, undefined],
    ['nobody, when it stands under another CA', leaf, intermediate, undefined],
    ['nobody, when nothing reads', 'junk', before.pem, undefined],
    ['nobody, of a text without end', leaf, before.pem.repeat(100), undefined],
  ])('%s', (_, chain, ca, signer) => {
    expect(signerOf(chain, ca)?.pem).toBe(signer);
  });

  it('has an id that belongs to the content, and reads back', () => {
    const signer = signerOf(leaf, before.pem);
    expect(readAuthority(before.pem)).toEqual(signer);
    expect(signer?.id).toMatch(/^[0-9a-f]{32}$/);
    expect(readAuthority(after.pem)?.id).not.toBe(signer?.id);
  });

  it('takes one root and nothing else for an authority', () => {
    for (const text of ['', 'junk', leaf, noCa.pem, before.pem + after.pem, `x${'A'.repeat(40_000)}`])
      expect(readAuthority(text)).toBeUndefined();
  });

  it('never throws, whatever stands in a request', () => {
    const piece = fc.oneof(fc.string(), fc.constantFrom(leaf, before.pem, leaf.slice(0, 300), leaf.replace('M', 'N')));
    fc.assert(
      fc.property(fc.array(piece), fc.option(piece, { nil: undefined }), (chain, ca) => {
        signerOf(chain.join('\n'), ca);
        readAuthority(chain.join(''));
      }),
    );
  });
});

/** The CA with the key of `root`, certified by another one. */
async function under(root: Root, above: Root): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: '77',
    subject: `CN=${root.name}`,
    issuer: `CN=${above.name}`,
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2040-01-01'),
    publicKey: root.keys.publicKey,
    signingKey: above.keys.privateKey,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  return `${certificate.toString('pem')}\n`;
}
