import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type AnchorTexts, readAnchors } from './anchors.ts';
import { certificate, signingKey } from './testing/authority.ts';

const NONE: AnchorTexts = { current: undefined, next: undefined, previous: undefined, nextIssuer: undefined, nextKeys: undefined };
let now: number;
let old: string;
let coming: string;
let leaf: string;

beforeAll(() => {
  [old, coming, leaf] = [certificate('old'), certificate('coming'), certificate('server', { ca: false })];
  now = Date.now() + 1_000;
});

const read = (texts: Partial<AnchorTexts>, at = now) => readAnchors({ ...NONE, ...texts }, at);
function trusted(texts: Partial<AnchorTexts>): { count: number; rotating: boolean } {
  const found = read(texts);
  if (!found.ok) throw new Error(found.problem.code);
  return { count: found.anchors.trusted.length, rotating: found.anchors.rotating };
}

describe('server anchors', () => {
  it('without a next one are no rotation', () => expect(trusted({ current: old })).toEqual({ count: 1, rotating: false }));
  it('with a next one are, and devices trust both', () =>
    expect(trusted({ current: old, next: coming })).toEqual({ count: 2, rotating: true }));
  it('whose next one is the current one are no rotation', () =>
    expect(trusted({ current: old, next: old })).toEqual({ count: 1, rotating: false }));
  it('keep the previous one trusted', () => expect(trusted({ current: coming, previous: old })).toEqual({ count: 2, rotating: false }));
  it('are the same set in whatever file each of them stands', () => {
    const sets = [{ current: old, next: coming }, { current: coming, previous: old }, { current: `${coming}\n${old}` }].map((texts) => {
      const found = read(texts);
      return found.ok ? found.anchors.trusted.map((der) => der.toString('hex')) : found.problem;
    });
    expect(sets[1]).toEqual(sets[0]);
    expect(sets[2]).toEqual(sets[0]);
  });

  it.each<[what: string, texts: () => Partial<AnchorTexts>, code: string, at?: number]>([
    ['nothing at all', () => ({}), 'HR-TRU-001'],
    ['no current one', () => ({ next: coming }), 'HR-TRU-001'],
    ['text that is no PEM', () => ({ current: 'hello' }), 'HR-TRU-001'],
    ['a certificate that is cut off', () => ({ current: old.slice(0, 300) }), 'HR-TRU-001'],
    ['a good one and one that is cut off', () => ({ current: old + coming.slice(0, 200) }), 'HR-TRU-001'],
    ['a private key beside the certificate', () => ({ current: old + signingKey().privateKey }), 'HR-TRU-001'],
    ['bytes that are no certificate', () => ({ current: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' }), 'HR-TRU-001'],
    ['the certificate of a server', () => ({ current: old, next: leaf }), 'HR-TRU-002'],
    ['one that is over', () => ({ current: old }), 'HR-TRU-003', Date.now() + 40 * 86_400_000],
    ['one that has not begun', () => ({ current: old }), 'HR-TRU-003', Date.now() - 86_400_000],
    ['more than a device keeps', () => ({ current: Array.from({ length: 9 }, (_, i) => certificate(`ca ${i}`)).join('') }), 'HR-TRU-004'],
    ['an issuer without a kind', () => ({ current: old, nextIssuer: 'servers-2' }), 'HR-TRU-005'],
    ['an issuer of another kind', () => ({ current: old, nextIssuer: 'Vault/servers-2' }), 'HR-TRU-005'],
    ['a certificate for a key', () => ({ current: old, nextKeys: coming }), 'HR-TRU-006'],
    ['a key of another kind', () => ({ current: old, nextKeys: rsa() }), 'HR-TRU-006'],
    ['too many keys', () => ({ current: old, nextKeys: Array.from({ length: 4 }, () => signingKey().publicKey).join('') }), 'HR-TRU-004'],
  ])('with %s are refused', (_what, texts, code, at) => {
    expect(read(texts(), at)).toMatchObject({ ok: false, problem: { code } });
  });

  it('name the next issuer, and comments between certificates do not matter', () => {
    const found = read({ current: `# the old one\n${old}`, next: coming, nextIssuer: 'ClusterIssuer/servers-2\n' });
    expect(found).toMatchObject({ ok: true, anchors: { nextIssuer: { kind: 'ClusterIssuer', name: 'servers-2' } } });
  });
});

function rsa(): string {
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }).toString();
}
