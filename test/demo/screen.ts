// What the person sees. On a terminal: lines scroll up, and below them stay the table and what is being done, redrawn in place.
// Elsewhere: plain lines, and the table now and then.
import { createPaint, type Paint, wantsColours } from './paint.ts';
import { duration, wrap } from './text.ts';

export type Screen = {
  readonly paint: Paint;
  readonly terminal: boolean;
  width(): number;
  /** A line that stays. */
  line(text?: string): void;
  /** A text that stays, broken to the width; lines after the first begin with `indent` spaces. Colours go on afterwards: their codes have no width. */
  text(text: string, indent?: number, colour?: (line: string) => string): void;
  /** What is being done at the moment, with its time; undefined: nothing. */
  doing(what: string | undefined): void;
  /** From now on the table is shown: lines for a width and a height. undefined: no more. */
  table(render: ((width: number, height: number) => string[]) | undefined): void;
  /** The table as it is, as lines that stay; a terminal shows it anyway. */
  snapshot(): void;
  /** Nothing is written any more. */
  close(): void;
};

export type Output = {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
};

const REDRAW_MS = 250;
const SNAPSHOT_MS = 6_000;
const PLAIN_WIDTH = 140;
const CURSOR = { hide: '\u001b[?25l', show: '\u001b[?25h' };

export function createScreen(out: Output, env: Record<string, string | undefined>): Screen {
  const terminal = out.isTTY === true && env.TERM !== 'dumb';
  const paint = createPaint(wantsColours(terminal, env));
  return terminal ? terminalScreen(out, paint) : plainScreen(out, paint);
}

function terminalScreen(out: Output, paint: Paint): Screen {
  let table: Parameters<Screen['table']>[0];
  let current: { what: string; since: number } | undefined;
  let drawn = 0;
  let closed = false;
  // One less than the terminal has: a line that fills the last column may wrap.
  const width = (): number => Math.max(20, (out.columns ?? 80) - 1);

  /** Lines of the lower part; at least a third of the terminal is left to what scrolls. */
  const footer = (): string[] => {
    const height = Math.max(3, Math.floor(((out.rows ?? 24) * 2) / 3));
    const lines = table === undefined ? [] : ['', ...table(width(), height - 2)];
    if (current === undefined) return lines;
    const passed = duration(performance.now() - current.since).padStart(7);
    return [...lines, paint.dim(` … ${passed}  ${current.what}`.slice(0, width()))];
  };
  const draw = (above: string): void => {
    if (closed) return;
    const lines = footer();
    // Up to where the lower part began, erase from there on (ECMA-48 CUU, ED), then anew.
    const erase = drawn === 0 ? '\r' : `\r\u001b[${drawn}A\u001b[0J`;
    out.write(`${erase}${above}${lines.map((line) => `${line}\n`).join('')}`);
    drawn = lines.length;
  };
  out.write(CURSOR.hide);
  const timer = setInterval(() => draw(''), REDRAW_MS);
  return {
    paint,
    terminal: true,
    width,
    line: (text = '') => draw(`${text}\n`),
    text: (text, indent = 0, colour = asItIs) => draw(`${wrap(text, width(), indent).map(colour).join('\n')}\n`),
    doing(what) {
      current = what === undefined ? undefined : { what, since: performance.now() };
      draw('');
    },
    table(render) {
      table = render;
      draw('');
    },
    snapshot: () => undefined,
    close() {
      if (closed) return;
      current = undefined;
      table = undefined;
      draw('');
      closed = true;
      clearInterval(timer);
      out.write(CURSOR.show);
    },
  };
}

const asItIs = (line: string): string => line;

function plainScreen(out: Output, paint: Paint): Screen {
  let table: Parameters<Screen['table']>[0];
  let printedAt = 0;
  let closed = false;
  const write = (text: string): void => {
    if (!closed) out.write(`${text}\n`);
  };
  const snapshot = (): void => {
    if (table === undefined) return;
    printedAt = performance.now();
    write(`\n${table(PLAIN_WIDTH, Number.POSITIVE_INFINITY).join('\n')}\n`);
  };
  const timer = setInterval(() => {
    if (performance.now() - printedAt >= SNAPSHOT_MS) snapshot();
  }, REDRAW_MS);
  return {
    paint,
    terminal: false,
    width: () => PLAIN_WIDTH,
    line: (text = '') => write(text),
    text: (text, indent = 0, colour = asItIs) => write(wrap(text, PLAIN_WIDTH, indent).map(colour).join('\n')),
    // What takes long says so at its end, with its time; compiling has progress of its own.
    doing: () => undefined,
    table(render) {
      table = render;
      printedAt = performance.now();
    },
    snapshot,
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}
