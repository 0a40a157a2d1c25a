// A CSV file as rows with their line numbers. Strict (RFC 4180), and total over all bytes: what does not read is a problem of its row, or of the file. Pure.
import { type CsvError, parse } from 'csv-parse/sync';
import { printable } from './adoption-text.ts';
import { explain } from './errors.ts';

export type Row = { line: number; cells: ReadonlyMap<string, string> };
export type RowProblem = { line: number; name: string; problem: string };
export type Sheet = { rows: readonly Row[]; problems: readonly RowProblem[] };

/** What is documented, in the order of the guide. Beside them `label:<key>`. */
export const COLUMNS = [
  'name',
  'segment',
  'model',
  'revision',
  'serial',
  'enrollment',
  'bootstrap',
  'csr_file',
  'certificate_file',
  'secret_name',
  'duration',
  'renew_before',
  'offline_budget',
] as const;

export const LABEL_COLUMN = 'label:';
/** Labels of Kubernetes, with their prefix, are the longest that belongs here. */
const MOST_CELL_CHARS = 512;
const MOST_ROWS = 100_000;
export const MOST_FILE_BYTES = 64 * 1024 * 1024;

type Parsed = { record: string[]; info: { lines: number } };

/** The problem of a file that nothing can be made of. */
export function readSheet(bytes: Buffer): Sheet | string {
  if (bytes.length > MOST_FILE_BYTES) return explain('HR-CLI-050', `it has ${bytes.length} bytes`);
  const problems: RowProblem[] = [];
  const skip = (error: CsvError | undefined): undefined => {
    problems.push({ line: lineOf(error), name: '', problem: explain('HR-CLI-051', csvWords(error)) });
  };
  let parsed: Parsed[];
  try {
    parsed = parse(bytes, {
      ...{ bom: true, info: true, trim: true, skip_empty_lines: true, relax_column_count: true, skip_records_with_error: true },
      ...{ record_delimiter: ['\r\n', '\n', '\r'], on_skip: skip, to: MOST_ROWS + 2 },
    }) as unknown as Parsed[];
  } catch (error) {
    return explain('HR-CLI-050', csvWords(error));
  }
  const [header, ...records] = parsed;
  const columns = header?.record.map(columnName);
  if (columns === undefined) return explain('HR-CLI-050', 'it has no first line with the names of its columns');
  const wrong = headerProblem(columns);
  if (wrong !== undefined) return explain('HR-CLI-050', wrong);
  if (records.length > MOST_ROWS) return explain('HR-CLI-050', `it has more than ${MOST_ROWS} rows`);
  const rows: Row[] = [];
  for (const { record, info } of records) {
    // The parser counts the line on which a row ends.
    const line = info.lines - record.reduce((breaks, cell) => breaks + (cell.match(/\r\n|\n|\r/g)?.length ?? 0), 0);
    const long = record.find((cell) => cell.length > MOST_CELL_CHARS);
    if (record.length === columns.length && long === undefined)
      rows.push({ line, cells: new Map(columns.map((column, at) => [column, record[at] ?? ''])) });
    else
      problems.push({
        line,
        name: nameOf(record, columns),
        problem: explain(
          'HR-CLI-051',
          long === undefined
            ? `it has ${record.length} cells, the first line ${columns.length}`
            : `it has a cell of ${long.length} characters`,
        ),
      });
  }
  return { rows, problems };
}

/** Names of columns in small letters; the key of a label is as it is. */
const columnName = (cell: string): string => {
  const small = cell.toLowerCase();
  return small.startsWith(LABEL_COLUMN) ? LABEL_COLUMN + cell.slice(LABEL_COLUMN.length) : small;
};

function headerProblem(columns: readonly string[]): string | undefined {
  const known: readonly string[] = COLUMNS;
  const unknown = columns.find((column) => !known.includes(column) && !column.startsWith(LABEL_COLUMN));
  if (unknown !== undefined) return `its first line names the column "${printable(unknown.slice(0, 60))}", which is none`;
  const twice = columns.find((column, at) => columns.indexOf(column) !== at);
  if (twice !== undefined) return `its first line names the column "${printable(twice.slice(0, 60))}" twice`;
  const missing = ['name', 'segment'].find((column) => !columns.includes(column));
  return missing === undefined ? undefined : `its first line has no column "${missing}"`;
}

const nameOf = (record: readonly string[], columns: readonly string[]): string => record[columns.indexOf('name')]?.slice(0, 80) ?? '';
const lineOf = (error: unknown): number => {
  const { lines } = (error ?? {}) as { lines?: unknown };
  return typeof lines === 'number' ? lines : 0;
};

/** The parser's code; its sentences repeat what stands in the file. */
function csvWords(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return WORDS[String(code)] ?? `it does not read as CSV (${printable(String(code).slice(0, 60))})`;
}

const WORDS: Readonly<Record<string, string>> = {
  INVALID_OPENING_QUOTE: 'a quote stands in the middle of a cell',
  CSV_INVALID_CLOSING_QUOTE: 'something follows the quote that ends a cell',
  CSV_QUOTE_NOT_CLOSED: 'a quote is opened and never closed: no row behind it was read',
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE: 'something follows the quote that ends a cell',
};
