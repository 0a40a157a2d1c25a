// Text that takes the place of the text before it, on a terminal. Pure but for what it remembers.

export type Size = { columns: number; rows: number };

/** Gives what has to be written so that `text` stands where the last one stood. Lines that are longer than the terminal would wrap and be counted wrong: they are cut. */
export function createScreen(size: () => Size): (text: string) => string {
  let height = 0;
  return (text) => {
    const { columns, rows } = size();
    const lines = text.trimEnd().split('\n');
    // The cursor stands below the last line.
    const most = Math.max(1, rows - 1);
    const shown = lines.length > most ? [...lines.slice(0, most - 1), `… ${lines.length - most + 1} lines more`] : lines;
    const back = height === 0 ? '' : `\u001b[${height}F\u001b[J`;
    height = shown.length;
    return `${back}${shown.map((line) => `${cut(line, columns)}\n`).join('')}`;
  };
}

function cut(line: string, columns: number): string {
  const characters = [...line];
  return characters.length <= columns ? line : `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}
