// The live table of the demo. Pure: rows in, text out.

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

const HEADINGS = ['DEVICE', 'SEGMENT', 'READY', 'CONNECTED', 'ACCEPTED', 'REFUSED', 'LAST READING'] as const;

/** One line per device, columns as wide as their longest cell, never wider than `width` characters. */
export function renderTable(rows: readonly Row[], width: number): string[] {
  const cells = rows.map((row) => [
    row.device,
    row.segment,
    row.ready === 'True' ? 'True' : `${row.ready} (${row.reason})`,
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
