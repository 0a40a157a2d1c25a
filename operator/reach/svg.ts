// A picture as SVG that needs no browser to be made: a column for each trust, addresses outside at the right; lines with ports are drawn through, those with topics dashed. Pure.
import type { Box, Line, Picture } from './picture.ts';

const WIDTH = 230;
const HEIGHT = 64;
const GAP_X = 170;
const GAP_Y = 46;
const MARGIN = 30;
const LINE = 18;
/** Room for the captions above the columns. */
const TOP = 50;
const OUTSIDE = 5;

export function svgOf({ boxes, lines }: Picture): string {
  const columns = [...new Set(boxes.map(columnOf))].sort((a, b) => a - b);
  const rows = new Map<number, number>();
  const places = boxes.map((box): Place => {
    const column = columns.indexOf(columnOf(box));
    const row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    return { x: MARGIN + column * (WIDTH + GAP_X), y: TOP + row * (HEIGHT + GAP_Y) };
  });
  const width = MARGIN * 2 + columns.length * WIDTH + Math.max(0, columns.length - 1) * GAP_X + LOOP;
  const height = TOP + Math.max(1, ...rows.values()) * (HEIGHT + GAP_Y);
  const captions = columns.map((column, at) => caption(column === OUTSIDE ? 'outside' : `trust ${column}`, MARGIN + at * (WIDTH + GAP_X)));
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    '<defs><marker id="end" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="#37474f"/></marker></defs>',
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...captions,
    ...lines.map((line, at) => drawn(line, places, at)),
    ...boxes.map((box, at) => boxed(box, places[at] ?? { x: 0, y: 0 })),
    '</svg>',
  ].join('\n')}\n`;
}

type Place = { x: number; y: number };
const LOOP = 60;

const columnOf = ({ trust }: Box): number => trust ?? OUTSIDE;
const caption = (text: string, x: number): string => `<text x="${x}" y="28" fill="#607d8b" font-weight="bold">${text}</text>`;

function boxed({ lines, trust }: Box, { x, y }: Place): string {
  const text = lines.map(
    (line, at) =>
      `<text x="${x + 10}" y="${y + 20 + at * LINE}"${at === 0 ? ' font-weight="bold"' : ''}>${escaped(shortened(line, LONGEST_IN_BOX))}</text>`,
  );
  const look = trust === undefined ? 'rx="30" fill="#eceff1" stroke="#90a4ae"' : 'rx="4" fill="#e8f5e9" stroke="#43a047"';
  return `<g><title>${escaped(lines.join(', '))}</title><rect x="${x}" y="${y}" width="${WIDTH}" height="${HEIGHT}" ${look}/>${text.join('')}</g>`;
}

const LONGEST_IN_BOX = 33;
const LONGEST_AT_LINE = 40;

/** The hover text has all of it, the label the first and how many more. Lines of one pair, and labels that would meet, stand apart by their number. */
function drawn({ from, to, kind, labels }: Line, places: readonly Place[], at: number): string {
  const [a, b] = [places[from], places[to]];
  if (a === undefined || b === undefined) return '';
  const shift = ((at * 7) % 5) * 8 - 16;
  const { path, x, y } = from === to ? loop(a) : curve(a, b, shift);
  const [first = '', ...more] = labels;
  const label = `${shortened(first, LONGEST_AT_LINE)}${more.length === 0 ? '' : ` and ${more.length} more`}`;
  const dash = kind === 'topics' ? ' stroke-dasharray="5 4"' : '';
  return `<g><title>${escaped(labels.join(', '))}</title><path d="${path}" fill="none" stroke="#37474f"${dash} marker-end="url(#end)"/><text x="${x}" y="${y}" text-anchor="middle" font-size="10" fill="#37474f">${escaped(label)}</text></g>`;
}

function curve(a: Place, b: Place, shift: number): { path: string; x: number; y: number } {
  const middle = HEIGHT / 2 + shift;
  if (a.x === b.x) {
    // Within a column, by its right side.
    const [x, y1, y2] = [a.x + WIDTH, a.y + middle, b.y + middle];
    return { path: `M${x} ${y1}C${x + LOOP} ${y1} ${x + LOOP} ${y2} ${x} ${y2}`, x: x + LOOP, y: (y1 + y2) / 2 };
  }
  const [x1, x2] = a.x < b.x ? [a.x + WIDTH, b.x] : [a.x, b.x + WIDTH];
  const [y1, y2, half] = [a.y + middle, b.y + middle, (x1 + x2) / 2];
  return { path: `M${x1} ${y1}C${half} ${y1} ${half} ${y2} ${x2} ${y2}`, x: half, y: (y1 + y2) / 2 - 4 };
}

function loop({ x, y }: Place): { path: string; x: number; y: number } {
  const right = x + WIDTH;
  return { path: `M${right} ${y + 18}C${right + LOOP} ${y + 8} ${right + LOOP} ${y + 58} ${right} ${y + 48}`, x: right + LOOP, y: y + 12 };
}

function shortened(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

/** XML 1.0 §2.4; what no XML may hold (§2.2) is shown as its number. */
const escaped = (text: string): string =>
  text
    .replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\uFFFE\uFFFF]/gu, (character) => `\\x{${character.codePointAt(0)?.toString(16)}}`)
    .replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
