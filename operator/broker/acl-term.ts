// Erlang terms as far as an ACL text of EMQX holds them, and how ours are written down.

export type Term =
  | { kind: 'atom'; name: string }
  | { kind: 'string'; text: string }
  | { kind: 'binary'; text: string }
  | { kind: 'number'; value: number }
  | { kind: 'tuple'; items: readonly Term[] }
  | { kind: 'list'; items: readonly Term[] };

export const atom = (name: string): Term => ({ kind: 'atom', name });
export const string = (text: string): Term => ({ kind: 'string', text });
export const number = (value: number): Term => ({ kind: 'number', value });
export const tuple = (...items: Term[]): Term => ({ kind: 'tuple', items });
export const list = (items: readonly Term[]): Term => ({ kind: 'list', items });

/** Everything that our topics and regular expressions are made of. A quote, a backslash, a control character or a letter beyond ASCII could end the string (emqx-profile.md, 14). */
const SAFE_STRING = /^[A-Za-z0-9._:@~=/{}+#$^()?|[\]-]*$/;
const SAFE_ATOM = /^[a-z][a-z0-9_]*$/;

/** One line with the full stop. Throws on whatever would need an escape: nothing of ours does. */
export function printRule(term: Term): string {
  return term.kind === 'tuple' ? `{${term.items.map(print).join(', ')}}.` : `${print(term)}.`;
}

function print(term: Term): string {
  switch (term.kind) {
    case 'atom':
      if (!SAFE_ATOM.test(term.name)) throw new Error('an ACL text cannot hold this atom safely');
      return term.name;
    case 'string':
      if (!SAFE_STRING.test(term.text)) throw new Error('an ACL text cannot hold this string safely');
      return `"${term.text}"`;
    case 'number':
      return String(term.value);
    case 'tuple':
      return `{${term.items.map(print).join(',')}}`;
    case 'list':
      return `[${term.items.map(print).join(',')}]`;
    case 'binary':
      throw new Error('binaries are read, never written');
  }
}

/** Whether two terms are the same, part by part. */
export function sameTerm(a: Term, b: Term): boolean {
  if (a.kind === 'tuple' || a.kind === 'list') {
    return b.kind === a.kind && a.items.length === b.items.length && a.items.every((item, i) => sameTerm(item, b.items[i] ?? atom('')));
  }
  return JSON.stringify(a) === JSON.stringify(b);
}
