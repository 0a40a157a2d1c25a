import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Envelope, envelopeText, merged, readEnvelope, signed, unsigned } from './envelope.ts';
import { resultOf } from './errors.ts';
import { keyFromPem } from './public-key.ts';
import { artifactOf, verifyRelease } from './release.ts';
import type { Role } from './root.ts';
import { makeKey, type SigningKey, signingKey } from './signing-key.ts';
import { readStatement, statementOf } from './statement.ts';
import { codeOf, type Editable, edited, newKey, publics, releaseFacts, sha256 } from './testing/trust.ts';
import { isBelow } from './version-order.ts';

const keys = [newKey(), newKey('P-256'), newKey(), newKey('P-256')];
const [anna, ben, cleo] = keys as [SigningKey, SigningKey, SigningKey];
const stranger = newKey();
const role = (threshold: number, who: readonly SigningKey[] = keys): { targets: Role } => ({ targets: { keys: publics(who), threshold } });
const TWO = role(2);
const statement = statementOf(releaseFacts());
const by = (...who: SigningKey[]): Envelope => who.reduce(signed, unsigned(statement));
const bytesOf = (envelope: Envelope): Buffer => Buffer.from(envelopeText(envelope));
const good = bytesOf(by(anna, ben));

function outcome(bytes: Uint8Array, root = TWO): string {
  const result = verifyRelease(bytes, root);
  return result.ok ? 'may run' : result.problem.code;
}
/** A statement that is not as it should be, signed by all. */
function spoilt(change: (json: Editable) => void): Buffer {
  return bytesOf(keys.reduce(signed, unsigned(edited(statement, change))));
}
function signatures(json: Editable, change: (one: Editable) => void): void {
  for (const one of json.signatures) change(one);
}
const bundle = (content: object, mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json'): Buffer =>
  Buffer.from(JSON.stringify({ mediaType, verificationMaterial: { publicKey: { hint: 'q83v' } }, ...content }));
const dsse = (bytes: Uint8Array = good): Editable => JSON.parse(Buffer.from(bytes).toString());

describe('a release', () => {
  it('with enough signatures may run, and says what was signed and by whom', () => {
    expect(verifyRelease(good, TWO)).toEqual({
      ok: true,
      value: { facts: releaseFacts(), signers: [anna.public.keyid, ben.public.keyid], digest: sha256(statement) },
    });
  });

  it.each<[string, () => Uint8Array, string]>([
    ['that nobody signed', () => bytesOf(by()), 'HR-FW-024'],
    ['that one of two signed', () => bytesOf(by(anna)), 'HR-FW-024'],
    ['that one signed twice', () => edited(bytesOf(by(anna)), (json) => json.signatures.push(json.signatures[0])), 'HR-FW-024'],
    [
      // ECDSA signatures of one key differ each time.
      'that one signed twice, differently',
      () => bytesOf(merged(by(ben), by(ben).signatures)),
      'HR-FW-024',
    ],
    ['that a stranger signed too', () => bytesOf(by(anna, stranger)), 'HR-FW-024'],
    [
      'that a stranger signed under the id of another',
      () => edited(bytesOf(by(anna, stranger)), (json) => (json.signatures[1].keyid = ben.public.keyid)),
      'HR-FW-024',
    ],
    [
      'whose signatures are of another release',
      () => edited(good, (json) => (json.payload = Buffer.from(statementOf(releaseFacts({ version: '9.0.0' }))).toString('base64'))),
      'HR-FW-024',
    ],
    ['whose payload is garbage that nobody signed', () => edited(good, (json) => (json.payload = 'AAAA')), 'HR-FW-024'],
    ['of another payload type', () => edited(good, (json) => (json.payloadType = 'application/json')), 'HR-FW-023'],
    ['that is no JSON', () => Buffer.from('no'), 'HR-FW-021'],
    ['that is a list', () => Buffer.from('[]'), 'HR-FW-021'],
    ['without signatures', () => edited(good, (json) => delete json.signatures), 'HR-FW-021'],
    ['whose payload is not base64', () => edited(good, (json) => (json.payload += '!')), 'HR-FW-021'],
    ['whose signature is no text', () => edited(good, (json) => (json.signatures[0].sig = 7)), 'HR-FW-021'],
    ['whose keyid is a number', () => edited(good, (json) => (json.signatures[0].keyid = 7)), 'HR-FW-021'],
    ['with a key twice', () => Buffer.from(good.toString().replace('{', '{"payload":"AAAA",')), 'HR-FW-021'],
    ['with 33 signatures', () => edited(good, (json) => (json.signatures = Array(33).fill(json.signatures[0]))), 'HR-FW-020'],
    ['of 65 KiB', () => Buffer.concat([good, Buffer.alloc(64 * 1024, ' ')]), 'HR-FW-020'],
    [
      'in a bundle of an unknown version',
      () => bundle({ dsseEnvelope: dsse() }, 'application/vnd.dev.sigstore.bundle.v1+json'),
      'HR-FW-021',
    ],
    ['in a bundle without an envelope', () => bundle({}), 'HR-FW-021'],
    [
      'of which only the bytes are signed (cosign sign-blob)',
      () => bundle({ messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest: 'q83v' }, signature: 'q83v' } }),
      'HR-FW-022',
    ],
    ['whose statement is of the older form', () => spoilt((json) => (json._type = 'https://in-toto.io/Statement/v0.1')), 'HR-FW-025'],
    [
      'whose statement is about something else',
      () => spoilt((json) => (json.predicateType = 'https://slsa.dev/provenance/v1')),
      'HR-FW-025',
    ],
    ['whose statement is no JSON', () => bytesOf(keys.reduce(signed, unsigned(Buffer.from('firmware')))), 'HR-FW-026'],
    [
      'whose statement has a key twice',
      () => bytesOf(keys.reduce(signed, unsigned(Buffer.from(statement.toString().replace('{', '{"subject":[],'))))),
      'HR-FW-026',
    ],
    ['without subjects', () => spoilt((json) => (json.subject = [])), 'HR-FW-026'],
    ['without a counter', () => spoilt((json) => delete json.predicate.securityCounter), 'HR-FW-026'],
    ['with a counter that is text', () => spoilt((json) => (json.predicate.securityCounter = '7')), 'HR-FW-026'],
    ['with a version that is none', () => spoilt((json) => (json.predicate.version = 'latest')), 'HR-FW-026'],
    ['with a field that nobody knows', () => spoilt((json) => (json.predicate.force = true)), 'HR-FW-026'],
    ['with an artifact that is no subject', () => spoilt((json) => (json.predicate.artifacts[0].name = 'other')), 'HR-FW-026'],
    ['with a subject that is no artifact', () => spoilt((json) => json.predicate.artifacts.pop()), 'HR-FW-026'],
    ['with an artifact twice', () => spoilt((json) => (json.predicate.artifacts[1].name = 'full')), 'HR-FW-026'],
    ['with a digest in capitals', () => spoilt((json) => (json.subject[0].digest.sha256 = 'AB'.repeat(32))), 'HR-FW-026'],
    ['with a size of 0', () => spoilt((json) => (json.predicate.artifacts[0].size = 0)), 'HR-FW-026'],
    ['below its own floor', () => spoilt((json) => (json.predicate.minVersionFloor = '2.4.1')), 'HR-FW-026'],
  ])('%s may not', (_, bytes, code) => expect(outcome(bytes())).toBe(code));

  it.each<[string, () => Uint8Array]>([
    ['in a Sigstore bundle', () => bundle({ dsseEnvelope: dsse() })],
    [
      'in a Sigstore bundle of its first form',
      () => bundle({ dsseEnvelope: dsse() }, 'application/vnd.dev.sigstore.bundle+json;version=0.2'),
    ],
    ['whose signatures name no key', () => edited(good, (json) => signatures(json, (one) => (one.keyid = '')))],
    ['whose signatures have no keyid', () => edited(good, (json) => signatures(json, (one) => delete one.keyid))],
    ['with the signature of a stranger beside', () => bytesOf(by(stranger, anna, ben))],
    ['with a signature beside that is none', () => edited(good, (json) => json.signatures.push({ keyid: cleo.public.keyid, sig: 'AAAA' }))],
    [
      'in the other alphabet of base64',
      () => edited(good, (json) => signatures(json, (one) => (one.sig = one.sig.replaceAll('+', '-').replaceAll('/', '_')))),
    ],
  ])('%s may run', (_, bytes) => expect(outcome(bytes())).toBe('may run'));

  it('needs exactly as many of the keys as the role says, in whatever order they signed', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3]), fc.integer({ min: 1, max: 4 }), fc.boolean(), (who, threshold, isNamed) => {
        const envelope = bytesOf(by(stranger, ...who.map((at) => keys[at] ?? anna)));
        const bytes = isNamed ? envelope : edited(envelope, (json) => signatures(json, (one) => (one.keyid = '')));
        expect(outcome(bytes, role(threshold))).toBe(who.length >= threshold ? 'may run' : 'HR-FW-024');
      }),
      { numRuns: 150 },
    );
  });

  it('with any byte changed may not run, or is the same release by the same keys', () => {
    let accepted = 0;
    for (let at = 0; at < good.length; at++) {
      const changed = Buffer.from(good);
      changed.writeUInt8((good[at] ?? 0) ^ 0x01, at);
      const result = verifyRelease(changed, TWO);
      if (!result.ok) continue;
      accepted++;
      expect(result.value, `byte ${at}`).toEqual({
        facts: releaseFacts(),
        signers: [anna.public.keyid, ben.public.keyid],
        digest: sha256(statement),
      });
    }
    expect(accepted).toBeLessThan(good.length / 10);
  });

  it('is answered whatever the bytes, signed or not', () => {
    const leaf = fc.oneof(fc.string(), fc.integer(), fc.constantFrom('app', '2.4.0', null, true, 7));
    const names = fc.constantFrom(
      'name',
      'digest',
      'sha256',
      'artifacts',
      'size',
      'format',
      'hardware',
      'models',
      '__proto__',
      'component',
      'version',
    );
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(names, tie('node'), { maxKeys: 4 }),
      ),
    })).node;
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(good.length - 10),
        tree,
        fc.constantFrom('subject', 'predicate'),
        (noise, at, value, where) => {
          expect(outcome(Buffer.concat([good.subarray(0, at), noise]))).toMatch(/^HR-FW-02\d$/);
          expect(codeOf(() => readEnvelope(noise))).toMatch(/^HR-FW-021$/);
          expect(codeOf(() => readStatement(edited(statement, (json) => (json[where] = value))))).toMatch(/^HR-FW-026$/);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('of the largest statement has room for all signatures, and a larger one is not made', () => {
    const revisions = (count: number): string[] => Array.from({ length: count }, (_, at) => `${at}`.padEnd(64, 'r'));
    const many = (count: number) =>
      releaseFacts({
        artifacts: Array.from({ length: count }, (_, at) => ({
          name: `a${at}`,
          format: 'raw' as const,
          size: 1,
          hardware: { models: revisions(32), revisions: revisions(5) },
          sha256: 'ab'.repeat(32),
        })),
      });
    const full = merged(
      signed(unsigned(statementOf(many(15))), anna),
      Array.from({ length: 31 }, (_, at) => ({ keyid: `${at}`.padStart(64, '0'), sig: Buffer.alloc(72, at) })),
    );
    expect(full.payload.length).toBeGreaterThan(38_000);
    expect(outcome(bytesOf(full), role(1))).toBe('may run');
    expect(codeOf(() => statementOf(many(16)))).toBe('HR-FW-020');
  });

  it('is of files by digest and size', () => {
    const file = { sha256: 'ab'.repeat(32), size: 1_312_496 };
    expect(artifactOf(releaseFacts(), file)).toMatchObject({ ok: true, value: { name: 'full' } });
    for (const other of [
      { ...file, size: 1 },
      { ...file, sha256: 'ef'.repeat(32) },
    ])
      expect(artifactOf(releaseFacts(), other)).toMatchObject({ ok: false, problem: { code: 'HR-FW-027' } });
  });
});

describe('a key', () => {
  it.each(['ed25519', 'P-256'] as const)('of kind %s has one id, from its private and its public file', (kind) => {
    const { privatePem, publicPem } = makeKey(kind);
    expect(signingKey(privatePem).public.keyid).toBe(keyFromPem(publicPem).keyid);
  });

  it.each<[string, () => string, string]>([
    ['that is none', () => 'key', 'HR-FW-030'],
    ['that is empty between its lines', () => '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n', 'HR-FW-030'],
    [
      'with a pass phrase',
      () =>
        generateKeyPairSync('ed25519')
          .privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
          .toString(),
      'HR-FW-030',
    ],
    [
      'on P-384',
      () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      'HR-FW-031',
    ],
    ['on Ed448', () => generateKeyPairSync('ed448').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'HR-FW-031'],
  ])('%s is refused, and nothing of it is said', (_, pem, code) => {
    const text = pem();
    const result = resultOf(() => signingKey(text));
    expect(result).toEqual({ ok: false, problem: { code } });
  });

  it('that is private is no public one', () => expect(codeOf(() => keyFromPem(makeKey('ed25519').privatePem))).toBe('HR-FW-030'));
});

describe('the order of versions', () => {
  // semver.org §11.
  const rising = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.0.1',
    '1.2.0',
    '1.10.0',
    '10.0.0',
  ];
  it('is that of semver.org', () => {
    for (const [at, a] of rising.entries()) for (const [other, b] of rising.entries()) expect(isBelow(a, b), `${a} ${b}`).toBe(at < other);
  });
  it('does not look at build metadata', () =>
    expect([isBelow('1.0.0+a', '1.0.0+b'), isBelow('1.0.0+b', '1.0.0+a')]).toEqual([false, false]));
});
