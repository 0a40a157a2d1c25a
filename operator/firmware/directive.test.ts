import { verify, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type DirectiveCa, directiveCa, directiveKey, type Wanted } from '../../test/harness/directive-certificates.ts';
import { preAuthentication } from '../api/dsse.ts';
import { again, nextSeq, signDirective } from './directive.ts';
import { type DirectiveSigner, readDirectiveSigner } from './directive-signer.ts';
import { readEnvelope } from './dsse.ts';
import { readBounded } from './json.ts';
import type { Directive } from './messages.ts';
import { DIRECTIVE_TYPE } from './protocol.ts';
import { install } from './testing/messages.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');

describe('a directive', () => {
  let ca: DirectiveCa;
  beforeAll(async () => {
    ca = await directiveCa('directive CA', NOW);
  });

  async function signer(wanted: Wanted = {}): Promise<ReturnType<typeof readDirectiveSigner>> {
    return readDirectiveSigner(await directiveKey(ca, NOW, wanted), { site: 'berlin', now: NOW });
  }
  async function good(wanted: Wanted = {}): Promise<DirectiveSigner> {
    const read = await signer(wanted);
    if (!read.ok) throw new Error(read.problem.code);
    return read.signer;
  }

  it.each(['P-256', 'Ed25519'] as const)('is signed with %s, and brings the certificate of its key', async (algorithm) => {
    const signed = signDirective(install(), await good({ algorithm }));
    const envelope = signed.ok ? readEnvelope(signed.bytes, 16_384) : undefined;
    const [signature] = envelope?.signatures ?? [];
    const leaf = new X509Certificate(signature?.x5c?.[0] ?? Buffer.alloc(0));
    expect(leaf.verify(new X509Certificate(ca.pem).publicKey)).toBe(true);
    const bytes = preAuthentication(DIRECTIVE_TYPE, envelope?.payload ?? Buffer.alloc(0));
    expect(verify(algorithm === 'P-256' ? 'sha256' : null, bytes, leaf.publicKey, signature?.sig ?? Buffer.alloc(0))).toBe(true);
    expect(readBounded(envelope?.payload ?? Buffer.alloc(0), 4096)).toEqual(install());
  });

  it.each<[string, Wanted, string]>([
    ['a CA', { isCa: true }, 'the certificate is that of a CA'],
    ['another site', { site: 'paris' }, 'its names are not exactly the URI urn:hedgerow:firmware:directive:berlin'],
    [
      'two sites',
      { uris: ['urn:hedgerow:firmware:directive:berlin', 'urn:hedgerow:firmware:directive:paris'] },
      'its names are not exactly the URI urn:hedgerow:firmware:directive:berlin',
    ],
    ['a device', { usages: ['1.3.6.1.5.5.7.3.2'] }, 'its usages have no code signing'],
    ['nothing named', { usages: [] }, 'its usages have no code signing'],
    ['tomorrow', { notBefore: NOW + 1000 }, 'it is not valid now'],
    ['yesterday', { notAfter: NOW }, 'it is not valid now'],
  ])('is not signed with the certificate of %s', async (_, wanted, found) =>
    expect(await signer(wanted)).toEqual({ ok: false, problem: { code: 'HR-FW-122', found } }),
  );

  it('is not signed with a key of another kind, or of another certificate, and no word of the key is said', async () => {
    expect(await signer({ algorithm: 'P-384' })).toEqual({ ok: false, problem: { code: 'HR-FW-121' } });
    const [one, other] = [await directiveKey(ca, NOW), await directiveKey(ca, NOW)];
    for (const keyPem of [other.keyPem, 'no key', one.keyPem.slice(0, 90)])
      expect(readDirectiveSigner({ ...one, keyPem }, { site: 'berlin', now: NOW })).toEqual({ ok: false, problem: { code: 'HR-FW-121' } });
  });

  const { release, artifact, ...bare } = install();
  it.each<[string, Directive, string]>([
    ['for nobody', { ...install(), aud: 'thermo-17' }, 'aud (pattern)'],
    ['of sequence 0', { ...install(), seq: 0 }, 'seq (minimum)'],
    ['that ends when it begins', { ...install(), exp: install().iat }, 'exp is not after iat'],
    ['for longer than a month', { ...install(), exp: install().iat + 31 * 86_400 + 1 }, 'more than 31 days'],
    ['to install nothing', bare, 'Install needs release'],
    [
      'to install without a place',
      { ...install(), artifact: { ...artifact, urls: [] } as Directive['artifact'] & object },
      'urls (minItems)',
    ],
    ['to cancel an image', { ...bare, action: 'Cancel', artifact } as Directive, 'Cancel has no artifact'],
    ['to activate from a place', { ...bare, action: 'Activate', artifact } as Directive, 'Activate has no artifact.urls'],
    ['to revert to a release', { ...install(), action: 'Revert' }, 'Revert has no release'],
    ['with a field more', { ...install(), shard: 3 } as Directive, 'the message (additionalProperties)'],
  ])('%s is not signed', async (_, directive, found) => {
    const signed = signDirective(directive, await good());
    expect(signed.ok ? '' : `${signed.problem.code} ${signed.problem.found}`).toMatch(/^HR-FW-120 /);
    expect(signed.ok ? '' : signed.problem.found).toContain(found);
    expect(release).toBeDefined();
  });

  it('for a device of another site is not signed', async () =>
    expect(signDirective({ ...install(), aud: 'thermo-17.paris' }, await good())).toMatchObject({
      ok: false,
      problem: { code: 'HR-FW-122' },
    }));

  it('that is sent again asks for the same, and answers to either are answers to both', () => {
    const echo = 'b'.repeat(32);
    const resent = again(install(), { now: NOW + 5000, fence: 9, echo });
    const { iat, exp } = install();
    expect(resent).toEqual({ ...install(), iat: NOW / 1000 + 5, exp: NOW / 1000 + 5 + exp - iat, fence: 9, echo });
  });

  it('has a sequence above the last one, also of a driver whose clock is behind', () => {
    expect(nextSeq(1000, 0)).toBe(1000);
    expect(nextSeq(1000, 1000)).toBe(1001);
    expect(nextSeq(1000, 5000)).toBe(5001);
  });
});
