import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KnownAuthority, selectAuthorities } from './ca-bundle.ts';
import type { LedgerEntry } from './ledger-entry.ts';
import { iso, NOW } from './testing/scene.ts';

const MINUTE = 60_000;
const known = (id: string, announcedAt?: number): KnownAuthority => ({
  id,
  pem: `${id}\n`,
  ...(announcedAt === undefined ? {} : { announcedAt }),
});
const entry = (ca: string | undefined, endsIn: number, more: Partial<LedgerEntry> = {}): LedgerEntry =>
  ({ ...(ca === undefined ? {} : { ca }), notAfter: iso(NOW + endsIn), ...more }) as LedgerEntry;
const revoked = { revoked: { at: iso(NOW), reason: 'Revoked', by: 'alice' } } as const;

describe('a CA', () => {
  it.each<[string, LedgerEntry[], string]>([
    ['stays while one certificate of it is valid', [entry('old', 1), entry('new', 9)], 'new old'],
    ['goes when its last certificate has expired', [entry('old', 0), entry('new', 9)], 'new'],
    ['goes when the rest of its certificates are revoked', [entry('old', 9, revoked), entry('new', 9)], 'new'],
    ['stays while an expired one may still re-enrol', [entry('old', -9, { keepUntil: iso(NOW + 1) }), entry('new', 9)], 'new old'],
    ['stays when it is the only one that anybody knows, whatever has ended', [entry('old', -9)], 'new'],
  ])('%s', (_, entries, kept) => {
    const { keep } = selectAuthorities([known('old'), known('new')], entries, NOW);
    expect(keep.map(({ id }) => id).join(' ')).toBe(kept);
  });

  it('stays for ten minutes from its announcement, until its first certificate is recorded', () => {
    const ids = (at: number) =>
      selectAuthorities([known('old'), known('new', at)], [entry('old', 9)], NOW)
        .keep.map(({ id }) => id)
        .join(' ');
    expect(ids(NOW - 9 * MINUTE)).toBe('new old');
    expect(ids(NOW - 10 * MINUTE)).toBe('old');
  });

  it('that is needed and whose certificate is lost is named, and so are certificates of nobody', () => {
    const { missing, census } = selectAuthorities([known('new')], [entry('old', 1), entry('gone', 0), entry(undefined, 1)], NOW);
    expect(missing).toEqual(['old']);
    expect(census.withoutCa).toBe(1);
  });
});

describe('whatever the ledger holds', () => {
  const IDS = ['a', 'b', 'c', 'd'];
  const someEntry = fc
    .record({
      ca: fc.constantFrom(undefined, ...IDS),
      endsIn: fc.integer({ min: -3, max: 3 }),
      keptFor: fc.constantFrom(undefined, -1, 1, 5),
      gone: fc.boolean(),
    })
    .map(({ ca, endsIn, keptFor, gone }) =>
      entry(ca, endsIn, { ...(keptFor === undefined ? {} : { keepUntil: iso(NOW + keptFor) }), ...(gone ? revoked : {}) }),
    );
  const someKnown = fc.uniqueArray(
    fc.record({ id: fc.constantFrom(...IDS), at: fc.constantFrom(undefined, NOW - 20 * MINUTE, NOW) }).map(({ id, at }) => known(id, at)),
    { selector: ({ id }) => id },
  );

  it('no CA is dropped that an unexpired certificate needs, the bundle of known CAs is never empty, and the order of anything is nothing', () => {
    fc.assert(
      fc.property(someKnown, fc.array(someEntry), fc.infiniteStream(fc.nat()), (all, entries, numbers) => {
        const selection = selectAuthorities(all, entries, NOW);
        const kept = new Set(selection.keep.map(({ id }) => id));
        for (const { ca, notAfter, revoked: over } of entries) {
          if (ca === undefined || over !== undefined || Date.parse(notAfter) <= NOW) continue;
          expect(kept.has(ca) || selection.missing.includes(ca)).toBe(true);
        }
        expect(kept.size > 0).toBe(all.length > 0);
        const shuffled = <T>(items: readonly T[]): T[] =>
          items
            .map((item) => ({ item, at: numbers.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ item }) => item);
        const again = selectAuthorities(shuffled(all), shuffled(entries), NOW);
        expect([again.keep, again.missing]).toEqual([selection.keep, selection.missing]);
      }),
    );
  });
});
