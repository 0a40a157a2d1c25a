/** The SQL of the rule engine as far as event feeds use it: `SELECT * FROM "$events/..", .. [WHERE field = 'text' [AND ..]]`. */

export class SqlError extends Error {}

export type RuleSql = { from: string[]; where: { field: string; equal: boolean; value: string }[] };

/** Throws SqlError with the term of EMQX's parser. */
export function readSql(sql: string): RuleSql {
  const found = /^\s*SELECT\s+\*\s+FROM\s+("[^"]*"(?:\s*,\s*"[^"]*")*)\s*(?:WHERE\s+([\s\S]+?))?\s*;?\s*$/i.exec(sql);
  if (!found?.[1]) throw new SqlError(parserComplaint(sql));
  return { from: [...found[1].matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? ''), where: readWhere(found[2]) };
}

function readWhere(text: string | undefined): RuleSql['where'] {
  if (text === undefined) return [];
  return text.split(/\s+AND\s+/i).map((part) => {
    const found = /^\s*([\w.]+)\s*(=|!=|<>)\s*'([^']*)'\s*$/.exec(part);
    if (!found?.[1]) throw new SqlError(`"1: the stand-in reads only field = 'text', not: ${part}",[]`);
    return { field: found[1], equal: found[2] === '=', value: found[3] ?? '' };
  });
}

/** The parser names the first word it could not use and, from the last to the first, the words after it. */
function parserComplaint(sql: string): string {
  const words = sql.trim().split(/\s+/);
  const tokens = words.map((word, at) => `{'NAME',${at === 0 ? 5 : at},"${word}"}`).join(',');
  return `"5: syntax error before: \\"${words[0] ?? ''}\\"",[${tokens}]`;
}
