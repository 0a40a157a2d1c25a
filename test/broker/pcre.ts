/** Erlang's `re` (PCRE 8) on top of JavaScript's RegExp, with the two limits of PCRE that the broker shows. */

export type Pattern = { test(text: string): boolean; capture(text: string): string[] | undefined };

/** Thrown with the Erlang term of the reason, e.g. `{"missing )",1}`. */
export class PatternError extends Error {}

// PCRE is compiled with two-byte links: 64 KB is the most a compiled pattern may take.
const MAX_COMPILED_BYTES = 65536;

export function compilePattern(source: string): Pattern {
  if (compiledBytes(source) > MAX_COMPILED_BYTES) throw new PatternError(`{"regular expression is too large",${source.length}}`);
  const regexp = toRegExp(source);
  return {
    test: (text) => regexp.test(text),
    capture: (text) =>
      regexp
        .exec(text)
        ?.slice(1)
        .map((group) => group ?? ''),
  };
}

function toRegExp(source: string): RegExp {
  try {
    return new RegExp(translate(source));
  } catch {
    throw new PatternError(reason(source));
  }
}

/** `$` also matches before a final newline in PCRE, `.` any character but a newline, `\g1` is a back-reference. */
function translate(source: string): string {
  let out = '';
  let inClass = false;
  for (let at = 0; at < source.length; at++) {
    const c = source[at] ?? '';
    if (c === '\\') {
      const reference = /^\\g\{?(\d+)\}?/.exec(source.slice(at));
      out += reference ? `\\${reference[1]}` : source.slice(at, at + 2);
      at += (reference?.[0].length ?? 2) - 1;
    } else if (inClass) {
      if (c === ']') inClass = false;
      out += c;
    } else if (c === '[') {
      inClass = true;
      out += c;
    } else if (c === '$') out += '(?=\\n?(?![\\s\\S]))';
    else if (c === '.') out += '[^\\n]';
    else out += c;
  }
  return out;
}

function reason(source: string): string {
  const plain = source.replace(/\\[\s\S]/g, '..').replace(/\[[^\]]*\]/g, (found) => '.'.repeat(found.length));
  if (plain.includes('[')) return `{"missing terminating ] for character class",${source.length}}`;
  const opens = plain.split('(').length;
  const closes = plain.split(')').length;
  if (opens > closes) return `{"missing )",${source.length}}`;
  if (closes > opens) return `{"unmatched parentheses",${plain.lastIndexOf(')')}}`;
  if (source.endsWith('\\')) return `{"\\\\ at end of pattern",${source.length}}`;
  return `{"nothing to repeat",${Math.max(plain.search(/(^|[(|])[*+?]/), 0)}}`;
}

/** A literal costs 2 bytes, `[x]` is a literal, another class 33, a branch or group 3 (pcre_compile.c, LINK_SIZE 2). */
function compiledBytes(source: string): number {
  let bytes = 0;
  for (const [item] of source.matchAll(/\\[\s\S]|\[\^?\]?[^\]]*\]|[\s\S]/g)) {
    if (item.length > 3 && item.startsWith('[')) bytes += 33;
    else if (item === '(' || item === ')' || item === '|') bytes += 3;
    else bytes += 2;
  }
  return bytes;
}
