import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { isSerial, MOST_LIST_CHARS, matchesPattern, readSerialList, timesListed } from './serial-list.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const read = (text: string): Record<string, number> | number | undefined => {
  const list = readSerialList(text);
  return list.ok ? Object.fromEntries(list.serials) : list.line;
};

describe('a list of serial numbers', () => {
  it.each<[string, string, ReturnType<typeof read>]>([
    ['one a line', 'A1\nB2\n', { A1: 1, B2: 1 }],
    ['without a last line end', 'A1\nB2', { A1: 1, B2: 1 }],
    ['with line ends of Windows and a byte order mark', '\uFEFFA1\r\nB2\r\n', { A1: 1, B2: 1 }],
    ['with comments and blank lines', '# pallet 7\n\nA1 # broken box\n  B2\t\n', { A1: 1, B2: 1 }],
    ['in which one stands twice', 'A1\nB2\nA1\n', { A1: 2, B2: 1 }],
    ['in which two differ by case: two devices', 'a1\nA1\n', { a1: 1, A1: 1 }],
    ['that is empty', '', {}],
    ['that is a table', 'A1,2026-01-01\n', 1],
    ['that was cut off within a line of JSON', 'A1\n{"serial":\n', 2],
    ['with a control character', 'A1\nB\u00002\n', 2],
    ['with a letter that looks like another', 'A1\nВ2\n', 2],
    ['with a number that is too long', `${'A'.repeat(65)}\n`, 1],
    ['that is larger than a ConfigMap', 'A1\n'.repeat(MOST_LIST_CHARS / 3 + 1), undefined],
  ])('%s', (_name, text, expected) => expect(read(text)).toEqual(expected));

  it('of anything reads or names a line, and never holds what is no serial number', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const list = readSerialList(text);
        if (list.ok) for (const serial of list.serials.keys()) expect(isSerial(serial)).toBe(true);
        else expect(text.split('\n')[(list.line ?? 0) - 1]).toBeDefined();
      }),
      { numRuns: 5_000 },
    );
  });

  it('counts a number in all the lists together', () => {
    const lists = ['A1\nB2', 'A1', 'C3\nC3'].map((text) => {
      const list = readSerialList(text);
      return list.ok ? list.serials : new Map<string, number>();
    });
    expect(['A1', 'B2', 'C3', 'D4'].map((serial) => timesListed(lists, serial))).toEqual([2, 1, 2, 0]);
  });
});

describe('a pattern', () => {
  it.each<[string, string, boolean]>([
    ['TMP2-*', 'TMP2-0001', true],
    ['TMP2-*', 'XTMP2-0001', false],
    ['TMP2-*', 'TMP2-', true],
    ['TMP2-????', 'TMP2-0001', true],
    ['TMP2-????', 'TMP2-00012', false],
    ['A*B*C', 'AxxByyC', true],
    ['A*B*C', 'AxxByyCz', false],
    ['A.B', 'AxB', false],
    ['A+', 'AA', false],
    ['abc', 'ABC', false],
  ])('%s of %s: %s', (pattern, serial, expected) => expect(matchesPattern(pattern, serial)).toBe(expected));

  const characters = fc.array(fc.constantFrom('a', 'b', '*', '?'), { maxLength: 12 }).map((list) => list.join(''));
  it('means what the regular expression with the same words means', () => {
    fc.assert(
      fc.property(characters, fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 14 }), (pattern, serial) => {
        const same = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(matchesPattern(pattern, serial.join(''))).toBe(same.test(serial.join('')));
      }),
      { numRuns: 5_000 },
    );
  });
});
