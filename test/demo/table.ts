// The live table of the demo. Pure: rows in, text out.
import type { Paint } from './paint.ts';

export type Row = {
  device: string;
  segment: string;
  ready: string;
  reason: string;
  connected: boolean;
  accepted: number;
  refused: number;
  last: string;
};

const HEADINGS = ['DEVICE', 'SEGMENT', 'READY', 'CONNECTED', 'ACCEPTED', 'REFUSED', 'LAST'] as const;

/** One line per device, columns as wide as their longest cell, never wider than `width` characters. */
export function renderTable(rows: readonly Row[], width: number): string[] {
  const cells = rows.map((row) => [
    row.device,
    row.segment,
    row.ready === 'True' || row.reason === '' ? row.ready : `${row.ready} (${row.reason})`,
    row.connected ? 'yes' : 'no',
    String(row.accepted),
    String(row.refused),
    row.last,
  ]);
  const widths = HEADINGS.map((heading, column) => Math.max(heading.length, ...cells.map((line) => line[column]?.length ?? 0)));
  return [HEADINGS, ...cells].map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
      .slice(0, width),
  );
}

/** The table in colours and at most `height` lines high: what does not fit is counted. */
export function paintTable(rows: readonly Row[], paint: Paint, width: number, height: number): string[] {
  const [head = '', ...lines] = renderTable(rows, width);
  const fits = Math.max(0, height - 1);
  const shown = lines.length <= fits ? lines.length : Math.max(0, fits - 1);
  const painted = lines.slice(0, shown).map((line, at) => paintRow(line, rows[at], paint));
  const hidden = lines.length - shown;
  return [paint.dim(head), ...painted, ...(hidden === 0 ? [] : [paint.dim(`… and ${hidden} more`.slice(0, width))])];
}

function paintRow(line: string, row: Row | undefined, paint: Paint): string {
  if (row === undefined) return line;
  if (row.ready === 'True' && row.connected) return line.replace('True', paint.green('True'));
  if (row.ready === 'False') return line.replace(/False \([^)]*\)?/, (text) => paint.red(text));
  return paint.yellow(line);
}
