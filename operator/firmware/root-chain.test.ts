import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRoot } from './root.ts';
import { advance, type Remembered } from './root-chain.ts';
import { DAY_MS, type Editable, edited, NOW, newKey, parsedRoot, publics, rootBy, sha256 } from './testing/trust.ts';

const [anna, ben, cleo, dan] = [newKey(), newKey('P-256'), newKey(), newKey('P-256')];
const release = newKey();
const both = { add: publics([anna, ben]), threshold: 2 };
const one = rootBy([anna, ben], { root: both, targets: { add: publics([release]), threshold: 1 } });
const first = parsedRoot(one);
/** Ben's key is out, Cleo's in. */
const swap = { add: publics([cleo]), remove: [ben.public.keyid] };
const two = rootBy([anna, ben, cleo], { before: first, root: swap });
const second = parsedRoot(two);
const three = rootBy([anna, cleo], { before: second });
const PIN = sha256(one);

type Files = Record<string, Uint8Array>;
const ALL: Files = { '1.root.json': one, '2.root.json': two, '3.root.json': three };
const seen = (bytes: Uint8Array): Remembered => ({ version: readRoot(bytes).version, digest: sha256(bytes) });
const walk = (files: Files, { remembered, pin = PIN, now = NOW }: { remembered?: Remembered; pin?: string; now?: number } = {}) =>
  advance(pin, remembered, new Map(Object.entries(files)), now);
const outcome = (...args: Parameters<typeof walk>): string => {
  const chain = walk(...args);
  return chain.ok ? `root ${chain.root.version}` : chain.problem.code;
};

describe('a chain of roots', () => {
  it('is walked to its newest, which is what to remember', () => {
    const newest = { ok: true, root: { version: 3 }, remembered: seen(three) };
    expect(walk(ALL)).toMatchObject(newest);
    expect(walk(ALL, { remembered: seen(two) })).toMatchObject(newest);
    expect(walk({ ...ALL, 'README.md': new Uint8Array(9) }, { remembered: seen(three) })).toMatchObject(newest);
  });

  it.each<[string, Files, string]>([
    ['that is empty is refused', {}, 'HR-FW-001'],
    ['without its first is refused', { '2.root.json': two, '3.root.json': three }, 'HR-FW-001'],
    ['with a hole in it is refused', { '1.root.json': one, '3.root.json': three }, 'HR-FW-003'],
    ['with a root under the number of another is refused', { '1.root.json': one, '2.root.json': three }, 'HR-FW-008'],
    [
      'with another first root is refused',
      { '1.root.json': rootBy([anna, ben], { root: both, targets: { add: publics([dan]) } }) },
      'HR-FW-002',
    ],
    ['whose first root is no root is refused before it is parsed', { '1.root.json': Buffer.from('{') }, 'HR-FW-002'],
    ['with a next root that is no root is refused', { ...ALL, '4.root.json': Buffer.from('{') }, 'HR-FW-006'],
    ['with a next root of 70 KiB is refused', { ...ALL, '4.root.json': Buffer.alloc(70_000, ' ') }, 'HR-FW-007'],
    ['with 257 roots is refused', Object.fromEntries(Array.from({ length: 257 }, (_, at) => [`${at + 1}.root.json`, one])), 'HR-FW-007'],
    [
      'whose next root only its own keys signed is refused',
      { '1.root.json': one, '2.root.json': rootBy([anna, cleo], { before: first, root: swap }) },
      'HR-FW-011',
    ],
    [
      'whose next root only the keys before it signed is refused',
      { '1.root.json': one, '2.root.json': rootBy([anna, ben], { before: first, root: swap }) },
      'HR-FW-010',
    ],
    [
      'whose next root strangers signed is refused',
      {
        '1.root.json': one,
        '2.root.json': rootBy([dan, release], {
          root: { add: publics([dan]) },
          targets: { add: publics([dan]) },
          before: { ...first, root: { keys: [], threshold: 1 } },
        }),
      },
      'HR-FW-011',
    ],
  ])('%s', (_, files, code) => expect(outcome(files)).toBe(code));

  it('whose first root has too few signatures is refused although it is pinned', () => {
    const weak = rootBy([anna], { root: both, targets: { add: publics([release]) } });
    expect(outcome({ '1.root.json': weak }, { pin: sha256(weak) })).toBe('HR-FW-010');
  });

  it('that ends before what was accepted once is refused, also where the newest were deleted and the rest made again', () => {
    expect(outcome({ '1.root.json': one, '2.root.json': two }, { remembered: seen(three) })).toBe('HR-FW-004');
    expect(outcome({ '1.root.json': one }, { remembered: seen(two) })).toBe('HR-FW-004');
    expect(outcome({}, { remembered: seen(two) })).toBe('HR-FW-001');
  });

  it('with other bytes under a version that was accepted once is refused, also when it goes on from there', () => {
    const other = rootBy([anna, cleo], { before: second, expiresAt: NOW + 60 * DAY_MS });
    const four = rootBy([anna, cleo], { before: parsedRoot(other) });
    expect(outcome({ ...ALL, '3.root.json': other })).toBe('root 3');
    expect(outcome({ ...ALL, '3.root.json': other }, { remembered: seen(three) })).toBe('HR-FW-005');
    expect(outcome({ ...ALL, '3.root.json': other, '4.root.json': four }, { remembered: seen(three) })).toBe('HR-FW-005');
  });

  it('is good until the second in which its newest root expires, and tells even then what to remember', () => {
    const { expiresAt } = readRoot(three);
    expect(outcome(ALL, { now: expiresAt - 1 })).toBe('root 3');
    expect(walk(ALL, { now: expiresAt })).toMatchObject({ ok: false, problem: { code: 'HR-FW-012' }, remembered: seen(three) });
  });

  it('may have roots in it that have expired: only the newest counts', () => {
    const old = rootBy([anna, ben], { root: both, targets: { add: publics([release]) }, expiresAt: NOW - DAY_MS });
    const next = rootBy([anna, ben], { before: parsedRoot(old), expiresAt: NOW + DAY_MS });
    expect(outcome({ '1.root.json': old }, { pin: sha256(old) })).toBe('HR-FW-012');
    expect(outcome({ '1.root.json': old, '2.root.json': next }, { pin: sha256(old) })).toBe('root 2');
  });

  it('accepts a next root exactly when enough of both have signed it, in whatever order', () => {
    const keys = Array.from({ length: 4 }, (_, at) => newKey(at % 2 === 0 ? 'ed25519' : 'P-256'));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.subarray([0, 1, 2, 3]),
        fc.nat(),
        (before, after, who, turn) => {
          const signers = who.map((at) => keys[at] ?? anna);
          const order = [...signers.slice(turn % (who.length + 1)), ...signers.slice(0, turn % (who.length + 1))];
          const old = rootBy(keys.slice(0, 3), {
            root: { add: publics(keys.slice(0, 3)), threshold: before },
            targets: { add: publics([release]) },
          });
          const next = rootBy(order, {
            before: parsedRoot(old),
            root: { add: publics(keys.slice(3)), remove: [keys[0]?.public.keyid ?? ''], threshold: after },
          });
          const enough = who.filter((at) => at < 3).length >= before && who.filter((at) => at > 0).length >= after;
          const got = outcome({ '1.root.json': old, '2.root.json': next }, { pin: sha256(old) });
          expect(got.startsWith('root')).toBe(enough);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('with any byte of its newest root changed is refused, or trusts the same keys until the same day', () => {
    const trusted = ({ root, targets, expiresAt, version }: Editable): unknown => [
      version,
      expiresAt,
      [root, targets].map(({ keys, threshold }) => [threshold, keys.map(({ spki }: { spki: string }) => spki)]),
    ];
    let accepted = 0;
    for (let at = 0; at < three.length; at++) {
      const changed = Buffer.from(three);
      changed.writeUInt8((three[at] ?? 0) ^ 0x01, at);
      const chain = walk({ ...ALL, '3.root.json': changed });
      if (!chain.ok) continue;
      accepted++;
      expect(trusted(chain.root), `byte ${at}`).toEqual(trusted(readRoot(three)));
    }
    // Letter case of hex, and nothing else that one bit changes.
    expect(accepted).toBeLessThan(three.length / 10);
  });

  it('gives an answer whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(three.length), fc.nat(three.length), (noise, from, to) => {
        expect(outcome({ ...ALL, '3.root.json': Buffer.concat([three.subarray(0, from), noise, three.subarray(to)]) })).toMatch(
          /^HR-FW-\d{3}$|^root 3$/,
        );
        expect(outcome({ ...ALL, '4.root.json': noise })).toMatch(/^HR-FW-00[67]$/);
      }),
      { numRuns: 300 },
    );
  });

  it('is not moved by what is not signed', () => {
    const more = edited(three, (json) => {
      json.comment = 'made on a Thursday';
      json.signatures.push({ keyid: 'ff', sig: 'ab' });
    });
    expect(outcome({ ...ALL, '3.root.json': more })).toBe('root 3');
  });
});
