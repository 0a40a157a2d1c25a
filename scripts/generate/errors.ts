// The generated parts of docs/reference/errors.md: one for each room's table of errors.
import { globSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inMarkdown } from './markdown.ts';

type Row = { title: string; cause: string; cure: string };
type Table = Readonly<Record<string, Row>>;

/** Every operator/<room>/errors.ts, by the name of the room. */
export async function errorTables(root: string): Promise<Map<string, Table>> {
  const files = globSync('operator/*/errors.ts', { cwd: root }).sort();
  const tables = await Promise.all(
    files.map(async (file): Promise<[string, Table]> => {
      const { ERRORS } = (await import(pathToFileURL(join(root, file)).href)) as { ERRORS?: Table };
      if (ERRORS === undefined) throw new Error(`${file} exports no ERRORS`);
      return [basename(dirname(file)), ERRORS];
    }),
  );
  return new Map(tables);
}

/** Parts by marker name: the rooms. A heading for each code, so that it can be linked: errors.md#hr-id-009-csrsubjectmismatch. */
export function errorParts(tables: ReadonlyMap<string, Table>): Map<string, string> {
  return new Map([...tables].map(([room, table]) => [room, Object.entries(table).map(entry).join('\n\n')]));
}

function entry([code, { title, cause, cure }]: [string, Row]): string {
  return `### ${code} ${title}\n\n- **Cause:** ${sentence(cause)}\n- **Cure:** ${sentence(cure)}`;
}

const sentence = (text: string): string => `${inMarkdown(text)}${/[.!?]$/.test(text) ? '' : '.'}`;
