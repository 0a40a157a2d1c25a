// Patterns `{re, …}` of EMQX's rules (PCRE), as far as PCRE and JavaScript surely mean the same, and as far as they cannot take long on any value.

/** Undefined: not surely understood. */
export function readPattern(source: string): RegExp | undefined {
  if (source.length > 65_536 || !/^[\x20-\x7e]*$/.test(source)) return undefined;
  const tokens = source.match(TOKEN) ?? [];
  if (tokens.join('') !== source || !isTame(tokens)) return undefined;
  try {
    return new RegExp(tokens.map((token) => (token === '$' ? '(?=\\n?(?![\\s\\S]))' : token === '.' ? '[^\\n]' : token)).join(''));
  } catch {
    return undefined;
  }
}

/** A class without anything that must be read twice: no bracket, escape, name or leading `]`. */
const TOKEN = /\[\^?[A-Za-z0-9_.@:$+#/ -]+\]|\\[.\-/+*?()[\]{}|^$\\d]|\(\?:|[(]|[)|^$.]|[*+?]|[A-Za-z0-9_@:/# =~,%!<>"'&;-]/g;

const MOST_REPEATS = 3;

/** At most three repeats, none of a group and none of a repeat: the time is bounded by the cube of the value's length. */
function isTame(tokens: readonly string[]): boolean {
  const repeats = tokens.flatMap((token, at) => (/^[*+?]$/.test(token) ? [at] : []));
  const tame = repeats.every((at) => !['(', '(?:', ')', '|', '^', '$', '*', '+', '?', undefined].includes(tokens[at - 1]));
  return tame && repeats.length <= MOST_REPEATS;
}
