import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonical } from './canonical-json.ts';
import { readRoot, signersOf } from './root.ts';
import { type Json, readJson } from './strict-json.ts';
import { codeOf, type Editable, edited, newKey, parsedRoot, publics, rootBy, sha256 } from './testing/trust.ts';

const [anna, ben] = [newKey(), newKey('P-256')];
const good = rootBy([anna, ben], { root: { add: publics([anna, ben]), threshold: 2 }, targets: { add: publics([ben]) } });
const ids = [anna.public.keyid, ben.public.keyid];

/** A key under its right id. */
function addKey(json: Editable, key: Editable, role = 'targets'): void {
  const id = sha256(canonical(readJson(Buffer.from(JSON.stringify(key)))));
  json.signed.keys[id] = key;
  json.signed.roles[role].keyids.push(id);
}

describe('root metadata', () => {
  it('reads with its keys, thresholds and expiry, and is signed by both', () => {
    const root = readRoot(good);
    expect(root.root.keys.map(({ keyid, kind }) => [keyid, kind])).toEqual([
      [ids[0], 'ed25519'],
      [ids[1], 'P-256'],
    ]);
    expect([root.version, root.root.threshold, root.targets.threshold, root.digest]).toEqual([1, 2, 1, sha256(good)]);
    expect(signersOf(root, root.root).map(({ keyid }) => keyid)).toEqual(ids);
  });

  it.each<[string, (json: Editable) => void, string]>([
    ['of another type', (json) => (json.signed._type = 'targets'), 'HR-FW-006'],
    ['of another specification', (json) => (json.signed.spec_version = '2.0.0'), 'HR-FW-006'],
    ['of version 0', (json) => (json.signed.version = 0), 'HR-FW-006'],
    ['of version true', (json) => (json.signed.version = true), 'HR-FW-006'],
    ['without an expiry', (json) => delete json.signed.expires, 'HR-FW-006'],
    ['that expires on 30 February', (json) => (json.signed.expires = '2027-02-30T00:00:00Z'), 'HR-FW-006'],
    ['that expires in another time zone', (json) => (json.signed.expires = '2027-02-03T00:00:00+01:00'), 'HR-FW-006'],
    ['without a role', (json) => delete json.signed.roles.timestamp, 'HR-FW-006'],
    ['with a role more', (json) => (json.signed.roles.mirrors = { keyids: [], threshold: 1 }), 'HR-FW-006'],
    ['with threshold 0', (json) => (json.signed.roles.root.threshold = 0), 'HR-FW-006'],
    ['that nobody could sign', (json) => (json.signed.roles.root.threshold = 3), 'HR-FW-006'],
    ['by which nobody could sign a release', (json) => (json.signed.roles.targets.keyids = []), 'HR-FW-006'],
    ['with a role of a key that is not there', (json) => json.signed.roles.targets.keyids.push('ab'), 'HR-FW-006'],
    ['with a role that names a key twice', (json) => json.signed.roles.root.keyids.push(ids[0]), 'HR-FW-006'],
    ['with two signatures of one keyid', (json) => json.signatures.push(json.signatures[0]), 'HR-FW-006'],
    ['with a signature that is not hex', (json) => (json.signatures[0].sig = 'xy'), 'HR-FW-006'],
    ['with 65 signatures', (json) => (json.signatures = Array.from({ length: 65 }, (_, at) => ({ keyid: `${at}`, sig: '' }))), 'HR-FW-006'],
    [
      'with 33 keys',
      (json) => {
        for (let at = 0; at < 33; at++)
          addKey(json, { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: sha256(Buffer.from([at])) } });
      },
      'HR-FW-006',
    ],
    [
      'with a key under another id',
      (json) => {
        json.signed.keys['0'.repeat(64)] = json.signed.keys[ids[0] ?? ''];
      },
      'HR-FW-009',
    ],
    ['with one key under two ids', (json) => addKey(json, { ...json.signed.keys[ids[0] ?? ''], note: 'another' }), 'HR-FW-009'],
    ['with an RSA key', (json) => addKey(json, { keytype: 'rsa', scheme: 'rsassa-pss-sha256', keyval: { public: 'x' } }), 'HR-FW-009'],
    [
      'with a short Ed25519 key',
      (json) => addKey(json, { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: 'abcd' } }),
      'HR-FW-009',
    ],
    [
      'with a certificate for a key',
      (json) =>
        addKey(json, {
          keytype: 'ecdsa',
          scheme: 'ecdsa-sha2-nistp256',
          keyval: { public: '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n' },
        }),
      'HR-FW-009',
    ],
    ['with an Ed25519 key called ecdsa', (json) => addKey(json, { ...json.signed.keys[ids[0] ?? ''], keytype: 'ecdsa' }), 'HR-FW-009'],
    ['with a key that is no object', (json) => addKey(json, 'key'), 'HR-FW-009'],
  ])('%s is refused', (_, change, code) => expect(codeOf(() => readRoot(edited(good, change)))).toBe(code));

  it('with unknown fields is read, and they are signed too', () => {
    const more = edited(good, (json) => (json.signed.x_owner = 'platform'));
    expect(signersOf(readRoot(more), readRoot(more).root)).toEqual([]);
  });

  it('that calls P-256 keys by their older name is read', () => {
    const pem = parsedRoot(good).targets.keys[0]?.json.keyval as Editable;
    const other = edited(good, (json) => {
      json.signed.keys = { [ids[0] ?? '']: json.signed.keys[ids[0] ?? ''] };
      json.signed.roles.root = { keyids: [ids[0]], threshold: 1 };
      json.signed.roles.targets.keyids = [];
      addKey(json, { keytype: 'ecdsa-sha2-nistp256', scheme: 'ecdsa-sha2-nistp256', keyval: pem });
    });
    expect(readRoot(other).targets.keys[0]?.spki).toBe(ben.public.spki);
  });
});

describe('canonical JSON', () => {
  it.each<[string, string]>([
    ['{"b":1,"a":[true,false,null,-3]}', '{"a":[true,false,null,-3],"b":1}'],
    [String.raw`"a\nb\"c\\d\u00e9"`, '"a\nb\\"c\\\\dé"'],
    // U+FF61 comes before U+1F600 by code points and after it in UTF-16.
    ['{"\u{1F600}":1,"\uFF61":2}', '{"\uFF61":2,"\u{1F600}":1}'],
    ['{"__proto__":1,"":2}', '{"":2,"__proto__":1}'],
  ])('of %s', (text, expected) => expect(canonical(readJson(Buffer.from(text))).toString()).toBe(expected));
});

describe('strict JSON', () => {
  it.each([
    '',
    '{',
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '[1,]',
    '01',
    '1.0',
    '1e3',
    '9007199254740993',
    '"\\ud800"',
    '"\t"',
    '\ufeff{}',
    'nul',
    '{} x',
    "{'a':1}",
    '[NaN]',
    '"\\x"',
  ])('refuses %j', (text) => expect(() => readJson(Buffer.from(text))).toThrow(/^it |^a key/));

  it('refuses what is not UTF-8, and what is nested too deep', () => {
    expect(() => readJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow(/UTF-8/);
    expect(() => readJson(Buffer.from('['.repeat(100_000)))).toThrow(/nested/);
    expect(readJson(Buffer.from(`${'['.repeat(32)}${']'.repeat(32)}`))).toBeDefined();
  });

  it('reads what JSON.parse reads of whole numbers, and the same', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 4 }).filter((value) => !/[.eE]\d|e[+-]\d|-0/.test(JSON.stringify(value))),
        (value) => {
          const text = JSON.stringify(value);
          let read: Json;
          try {
            read = readJson(Buffer.from(text));
          } catch {
            // Numbers beyond 2^53, lone surrogates.
            return;
          }
          expect(JSON.parse(JSON.stringify(read))).toEqual(JSON.parse(text));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('answers or refuses whatever the bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: fc.constantFrom(...'{}[]":,\\u0019aetnr. ') }), fc.string()), (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(() => readJson(Buffer.from(text))).toThrow();
          return;
        }
        try {
          expect(JSON.parse(JSON.stringify(readJson(Buffer.from(text))))).toEqual(expected);
        } catch (error) {
          expect(error).toMatchObject({ name: 'NotJson' });
        }
      }),
      { numRuns: 1000 },
    );
  });
});
