/** Reads `acl.conf`: Erlang terms, each closed by a full stop (file:consult/1), with errors in Erlang's own words. */

export type Term =
  | { kind: 'atom'; name: string }
  | { kind: 'string'; text: string }
  | { kind: 'binary'; text: string }
  | { kind: 'number'; value: number }
  | { kind: 'tuple'; items: Term[] }
  | { kind: 'list'; items: Term[] };

export type Consulted = { ok: true; terms: Term[] } | { ok: false; error: string };

type Token = { kind: 'punct' | 'atom' | 'string' | 'number' | 'variable' | 'dot'; text: string; line: number };

class ErlangError extends Error {}

export function consult(text: string): Consulted {
  try {
    const terms: Term[] = [];
    const tokens = scan(text);
    let from = 0;
    while (from < tokens.length) {
      const end = tokens.findIndex((token, at) => at >= from && token.kind === 'dot');
      if (end < 0) throw parseError(tokens.at(-1)?.line ?? 1, '[]');
      terms.push(parseForm(tokens.slice(from, end), tokens[end]?.line ?? 1));
      from = end + 1;
    }
    return { ok: true, terms };
  } catch (error) {
    if (error instanceof ErlangError) return { ok: false, error: error.message };
    throw error;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what Erlang takes for white space
const SPACE = /[\s\x00-\x20\x80-\xa0]/;

function scan(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let at = 0;
  const push = (kind: Token['kind'], token: string, length: number) => {
    tokens.push({ kind, text: token, line });
    at += length;
  };
  while (at < text.length) {
    const rest = text[at] ?? '';
    if (rest === '\n') line++;
    if (SPACE.test(rest)) {
      at++;
      continue;
    }
    if (rest === '%') {
      while (at < text.length && text[at] !== '\n') at++;
      continue;
    }
    const sticky = (pattern: RegExp) => {
      pattern.lastIndex = at;
      return pattern.exec(text)?.[0];
    };
    if (rest === '"' || rest === "'") {
      const quoted = scanQuoted(text, at, rest, line);
      push(rest === '"' ? 'string' : 'atom', quoted.text, quoted.length);
      line += quoted.lines;
      continue;
    }
    const number = sticky(/-?\d+(?:\.\d+)?/y);
    if (number !== undefined) {
      push('number', number, number.length);
      continue;
    }
    const atom = sticky(/[a-zß-öø-ÿ][\w@À-ÖØ-öø-ÿ]*/y);
    if (atom !== undefined) {
      push('atom', atom, atom.length);
      continue;
    }
    const variable = sticky(/[A-Z_À-ÖØ-Þ][\w@À-ÖØ-öø-ÿ]*/y);
    if (variable !== undefined) {
      push('variable', variable, variable.length);
      continue;
    }
    const punct = sticky(/<<|>>|=>|:=|[{}[\],|#/:()<>=]/y);
    if (punct !== undefined) {
      push('punct', punct, punct.length);
      continue;
    }
    if (rest === '.' && (at + 1 >= text.length || SPACE.test(text[at + 1] ?? '') || text[at + 1] === '%')) {
      push('dot', '.', 1);
      continue;
    }
    if (rest === '.' || /[!-~]/.test(rest)) {
      push('punct', rest, 1);
      continue;
    }
    throw new ErlangError(`{bad_acl_file_content,{${line},erl_scan,{illegal,character}}}`);
  }
  return tokens;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', e: '\x1b', s: ' ', d: '\x7f', 0: '\0' };

function scanQuoted(text: string, from: number, quote: string, line: number): { text: string; length: number; lines: number } {
  let out = '';
  let at = from + 1;
  let lines = 0;
  while (at < text.length) {
    const c = text[at] ?? '';
    if (c === quote) return { text: out, length: at + 1 - from, lines };
    if (c === '\n') lines++;
    if (c !== '\\') {
      out += c;
      at++;
      continue;
    }
    const pattern = /\\(?:x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|([0-7]{1,3})|([\s\S]))/y;
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) break;
    const code = found[1] ?? found[2];
    if (code !== undefined) out += String.fromCodePoint(Number.parseInt(code, 16));
    else if (found[3] !== undefined) out += String.fromCodePoint(Number.parseInt(found[3], 8));
    else out += ESCAPES[found[4] ?? ''] ?? found[4] ?? '';
    at += found[0].length;
  }
  // Erlang shows at most 16 characters of what it could not close, at the line the string began.
  const body = text.slice(from + 1).replace(/\n$/, '');
  const shown = `"${body.slice(0, 16).replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
  throw new ErlangError(`{bad_acl_file_content,{${line},erl_scan,{string,${quote.charCodeAt(0)},${shown}}}}`);
}

function parseForm(tokens: Token[], dotLine: number): Term {
  let at = 0;
  const fail = (): never => {
    const token = tokens[at];
    throw token ? parseError(token.line, shownToken(token)) : parseError(dotLine, '[]');
  };
  const isPunct = (text: string) => tokens[at]?.kind === 'punct' && tokens[at]?.text === text;
  const items = (close: string): Term[] => {
    const list: Term[] = [];
    if (isPunct(close)) {
      at++;
      return list;
    }
    for (;;) {
      list.push(term());
      if (isPunct(close)) {
        at++;
        return list;
      }
      if (!isPunct(',')) fail();
      at++;
    }
  };
  const strings = (first: string): string => {
    let text = first;
    while (tokens[at]?.kind === 'string') text += tokens[at++]?.text ?? '';
    return text;
  };
  const binary = (): Term => {
    let text = '';
    while (!isPunct('>>')) {
      const token = tokens[at];
      if (token?.kind !== 'string') return fail();
      at++;
      text += token.text;
      if (isPunct('/')) at += 2;
      if (isPunct(',')) at++;
    }
    at++;
    return { kind: 'binary', text };
  };
  const term = (): Term => {
    const token = tokens[at];
    if (!token) return fail();
    at++;
    if (token.kind === 'atom') return { kind: 'atom', name: token.text };
    if (token.kind === 'string') return { kind: 'string', text: strings(token.text) };
    if (token.kind === 'number') return { kind: 'number', value: Number(token.text) };
    if (token.kind === 'punct' && token.text === '{') return { kind: 'tuple', items: items('}') };
    if (token.kind === 'punct' && token.text === '[') return { kind: 'list', items: items(']') };
    if (token.kind === 'punct' && token.text === '<<') return binary();
    at--;
    return fail();
  };
  if (tokens.length === 0) return fail();
  const parsed = term();
  if (at < tokens.length) fail();
  return parsed;
}

function shownToken(token: Token): string {
  if (token.kind === 'string') return `["\\"${token.text}\\""]`;
  if (token.kind === 'punct') return `"'${token.text}'"`;
  return `"${token.text}"`;
}

function parseError(line: number, before: string): ErlangError {
  return new ErlangError(`{bad_acl_file_content,{${line},erl_parse,["syntax error before: ",${before}]}}`);
}

/** A term as `io_lib:format("~0p")` shows it: used in EMQX's error messages. */
export function showTerm(term: Term): string {
  if (term.kind === 'atom') return /^[a-z][\w@]*$/.test(term.name) ? term.name : `'${term.name}'`;
  if (term.kind === 'string') return JSON.stringify(term.text);
  if (term.kind === 'binary') return `<<${JSON.stringify(term.text)}>>`;
  if (term.kind === 'number') return String(term.value);
  const inner = term.items.map(showTerm).join(',');
  return term.kind === 'tuple' ? `{${inner}}` : `[${inner}]`;
}
