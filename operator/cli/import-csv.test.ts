import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { readSheet, type Sheet } from './import-csv.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000 });

const read = (text: string | Buffer): Sheet => {
  const sheet = readSheet(Buffer.from(text));
  if (typeof sheet === 'string') throw new Error(sheet);
  return sheet;
};
const rows = (text: string): (readonly [line: number, ...cells: string[]])[] =>
  read(text).rows.map(({ line, cells }) => [line, ...cells.values()] as const);
const refused = (text: string | Buffer): string => String(readSheet(Buffer.from(text)));

describe('a CSV file', () => {
  it.each<[what: string, text: string, expected: (readonly [number, ...string[]])[]]>([
    [
      'of two rows',
      'name,segment\na,s\nb,s\n',
      [
        [2, 'a', 's'],
        [3, 'b', 's'],
      ],
    ],
    ['without a line break at its end', 'name,segment\na,s', [[2, 'a', 's']]],
    [
      'of Windows, with its mark',
      '\uFEFFname,segment\r\na,s\r\nb,s\r\n',
      [
        [2, 'a', 's'],
        [3, 'b', 's'],
      ],
    ],
    ['of an old Mac', 'name,segment\ra,s\r', [[2, 'a', 's']]],
    [
      'with empty lines',
      'name,segment\n\n\na,s\n\nb,s\n',
      [
        [4, 'a', 's'],
        [6, 'b', 's'],
      ],
    ],
    ['with blanks around its cells and names in capitals', 'Name , SEGMENT\n a , s \n', [[2, 'a', 's']]],
    ['with quotes, commas and doubled quotes', 'name,segment\n"a","x, ""y"""\n', [[2, 'a', 'x, "y"']]],
    [
      'with a line break in a cell: the rows after it keep their lines',
      'name,segment\n"a\nb",s\nc,s\n',
      [
        [2, 'a\nb', 's'],
        [4, 'c', 's'],
      ],
    ],
    ['with its columns in another order', 'segment,label:floor,name\ns,3,a\n', [[2, 's', '3', 'a']]],
    ['of no rows', 'name,segment\n', []],
  ])('%s', (_what, text, expected) => expect(rows(text)).toEqual(expected));

  it.each<[what: string, text: string | Buffer, words: string]>([
    ['nothing', '', 'it has no first line'],
    ['a first line without a name', 'segment,model\n', 'no column "name"'],
    ['a column that is none', 'name,segment,colour\n', 'the column "colour", which is none'],
    ['a column twice', 'name,segment,name\n', 'the column "name" twice'],
    ['a column that a terminal would obey', 'name,segment,\u001b[2J\n', '"\\x{1b}[2j", which is none'],
    ['a picture', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), 'HR-CLI-050'],
  ])('of %s is refused as a whole', (_what, text, words) => {
    expect(refused(text)).toMatch(/^HR-CLI-050: .+ Cure: /);
    expect(refused(text)).toContain(words);
  });

  it.each<[what: string, text: string, line: number, words: string]>([
    ['with too few cells', 'a', 3, 'it has 1 cells, the first line 2'],
    ['with too many cells', 'a,s,x', 3, 'it has 3 cells, the first line 2'],
    ['with a quote in the middle', 'a"b,s', 3, 'a quote stands in the middle'],
    ['that is far too long', `${'a'.repeat(20_000)},s`, 3, 'a cell of 20000 characters'],
  ])('names a row %s, and goes on behind it', (_what, text, line, words) => {
    const { rows: good, problems } = read(`name,segment\nfirst,s\n${text}\nlast,s\n`);
    expect(good.map(({ cells }) => cells.get('name'))).toEqual(['first', 'last']);
    expect(problems).toEqual([expect.objectContaining({ line, problem: expect.stringContaining(words) })]);
  });

  it('names a quote that something follows; rows that are lost by it are named too', () => {
    const { rows: good, problems } = read('name,segment\nfirst,s\n"a"b,s\nlast,s\n');
    expect(good.map(({ cells }) => cells.get('name'))).toEqual(['first']);
    expect(problems.map(({ problem }) => problem)).toEqual([
      expect.stringContaining('something follows the quote'),
      expect.stringContaining('no row behind it was read'),
    ]);
  });

  it('names a quote that is never closed; what stood before it is there', () => {
    const { rows: good, problems } = read('name,segment\nfirst,s\n"a,s\nb,s\n');
    expect(good.map(({ cells }) => cells.get('name'))).toEqual(['first']);
    expect(problems).toEqual([expect.objectContaining({ problem: expect.stringContaining('never closed') })]);
  });

  it('of anything at all is read or refused, each row has its line, and what is said can be printed', () => {
    const cell = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom('a', '"', '""', '"x"', '=cmd|calc', '\0', '\r', '\n', ',', '\uFEFF', ' '),
    );
    const text = fc.oneof(
      fc.array(fc.array(cell, { maxLength: 4 }).map((cells) => cells.join(','))).map((lines) => `name,segment\n${lines.join('\n')}`),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.concat([Buffer.from('name,segment\n'), bytes])),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(text, (input) => {
        const sheet = readSheet(Buffer.from(input));
        const said = typeof sheet === 'string' ? [sheet] : sheet.problems.map(({ problem }) => problem);
        for (const one of said) expect(one).toMatch(/^HR-CLI-05[01]: [^\p{Cc}\p{Cf}]+$/u);
        if (typeof sheet === 'string') return;
        for (const { line, cells } of sheet.rows) {
          expect(line).toBeGreaterThan(1);
          expect(cells.size).toBe(2);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('that some program wrote is read as it was meant', () => {
    const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`;
    const cells = fc.array(fc.tuple(fc.string({ maxLength: 30 }), fc.string({ maxLength: 30 })), { maxLength: 20 });
    fc.assert(
      fc.property(cells, (all) => {
        const text = `name,segment\n${all.map((row) => `${row.map(quoted).join(',')}\n`).join('')}`;
        const { rows: good, problems } = read(text);
        expect(problems).toEqual([]);
        const meant = all.filter((row) => row.some((cell) => cell !== '')).length;
        expect(good.length).toBeGreaterThanOrEqual(meant);
      }),
    );
  });
});
