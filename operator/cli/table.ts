// Rows of text under their headings, as kubectl prints them. Pure.
import { printable } from './adoption-text.ts';

/** Gives the lines of each further batch under the headings of the first. A column only grows, the last is not padded; an empty cell is shown as `-`. */
export function growingTable(headings: readonly string[]): (rows: readonly (readonly string[])[]) => string {
  const widths: number[] = [];
  return (rows) => {
    const lines = rows.map((row) => row.map((cell) => (cell === '' ? '-' : printable(cell))));
    if (widths.length === 0) lines.unshift([...headings]);
    for (const line of lines) for (const [column, cell] of line.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
    return lines
      .map(
        (line) =>
          `${line
            .map((cell, column) => cell.padEnd(widths[column] ?? 0))
            .join('   ')
            .trimEnd()}\n`,
      )
      .join('');
  };
}

/** `what   value` lines, the values in one column; what is undefined is left out. */
export function facts(lines: readonly (readonly [what: string, value: string | undefined])[]): string {
  const known = lines.flatMap(([what, value]) => (value === undefined ? [] : [[what, value] as const]));
  const width = Math.max(0, ...known.map(([what]) => what.length));
  return known.map(([what, value]) => `${what.padEnd(width)}   ${printable(value)}\n`).join('');
}
