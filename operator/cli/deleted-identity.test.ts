import { describe, expect, it } from 'vitest';
import { deletedIdentity, deletedText } from './deleted-identity.ts';
import type { LedgerLine } from './ledger.ts';

const NOW = Date.parse('2026-03-01T00:00:00Z');
const PLACE = { namespace: 'berlin', name: 'thermo-17' };
const line = (more: Partial<LedgerLine> = {}): LedgerLine => ({
  ...{ device: 'thermo-17.berlin', segment: 'office.berlin', serial: '0a', notAfter: '2026-03-30T00:00:00Z' },
  ...more,
});
const retired = { at: '2026-02-28T12:00:00.5Z', reason: 'Retired', by: 'hedgerow' };

describe('a Device that was deleted', () => {
  it('is nobody when the ledger does not know it, or may not be read', () => {
    expect(deletedIdentity(PLACE, [line({ device: 'thermo-1.berlin' })])).toBeUndefined();
    expect(deletedIdentity(PLACE, undefined)).toBeUndefined();
  });

  it.each<[what: string, ledger: LedgerLine[], lines: RegExp[]]>([
    [
      'whose certificate is revoked, until when it is banned',
      [line({ revoked: retired })],
      [
        /certificate +serial 0a, for office\.berlin: revoked 2026-02-28T12:00:00Z, Retired by hedgerow; banned at the broker until 2026-03-30T00:00:00Z/,
        /retired +all that it had is revoked or over/,
      ],
    ],
    [
      'whose certificates wait for the operator, how many',
      [line(), line({ serial: '0b', revoked: retired }), line({ serial: '0c', notAfter: '2026-02-01T00:00:00Z' })],
      [/serial 0a, .*not revoked yet, valid until/, /serial 0c, .*expired 2026-02-01/, /retired +1 of 3 wait for the operator/],
    ],
  ])('says of one %s', (_what, ledger, lines) => {
    const text = deletedText(deletedIdentity(PLACE, ledger) ?? expect.fail('nobody'), NOW);
    expect(text).toMatch(/device +berlin\/thermo-17, which does not exist any more/);
    for (const one of lines) expect(text).toMatch(one);
  });
});
