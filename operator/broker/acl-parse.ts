// Reads an ACL text as Erlang's file:consult does, as far as EMQX accepts it as rules. Ours is read back before it is sent; foreign ones are read to be kept.
import type { Term } from './acl-term.ts';

/** A rule with the place where it stands in the text: from `start` up to and without `end`, full stop included. */
export type ParsedRule = { term: Term; start: number; end: number };
export type ParsedAcl = { ok: true; rules: ParsedRule[] } | { ok: false; at: number; why: string };

/** Deeper than any rule; a text of brackets must not exhaust the stack. */
const MAX_DEPTH = 64;

class Malformed extends Error {
  readonly at: number;
  constructor(at: number, why: string) {
    super(why);
    this.at = at;
  }
}

/** Total over all strings: a text that is no list of terms gives the offset and the reason. */
export function parseAcl(text: string): ParsedAcl {
  const reader = new Reader(text);
  const rules: ParsedRule[] = [];
  try {
    for (reader.skip(); !reader.done; reader.skip()) rules.push(reader.rule());
    return { ok: true, rules };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, at: error.at, why: error.message };
    throw error;
  }
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Over white space and comments. */
  skip(): void {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    this.#at = SPACE.lastIndex;
  }

  rule(): ParsedRule {
    const start = this.#at;
    const term = this.#term(0);
    this.skip();
    // A full stop counts only before white space, a comment or the end (erl_scan).
    if (this.#text[this.#at] !== '.' || !/^(?:[\s%]|$)/.test(this.#text.slice(this.#at + 1, this.#at + 2)))
      this.#fail('expected a full stop');
    this.#at++;
    return { term, start, end: this.#at };
  }

  #term(depth: number): Term {
    if (depth > MAX_DEPTH) this.#fail('nested too deeply');
    this.skip();
    const first = this.#text[this.#at];
    if (first === '{') return { kind: 'tuple', items: this.#items('}', depth) };
    if (first === '[') return { kind: 'list', items: this.#items(']', depth) };
    if (first === '"') return { kind: 'string', text: this.#strings() };
    if (first === "'") return { kind: 'atom', name: this.#quoted("'") };
    if (this.#text.startsWith('<<', this.#at)) return this.#binary();
    return this.#word();
  }

  #items(close: string, depth: number): Term[] {
    this.#at++;
    const items: Term[] = [];
    this.skip();
    if (this.#take(close)) return items;
    for (;;) {
      items.push(this.#term(depth + 1));
      this.skip();
      if (this.#take(close)) return items;
      if (!this.#take(',')) this.#fail(`expected , or ${close}`);
    }
  }

  /** Strings side by side are one string. */
  #strings(): string {
    let whole = this.#quoted('"');
    for (this.skip(); this.#text[this.#at] === '"'; this.skip()) whole += this.#quoted('"');
    return whole;
  }

  #binary(): Term {
    this.#at += 2;
    this.skip();
    const text = this.#text[this.#at] === '"' ? this.#strings() : '';
    this.skip();
    if (this.#take('/') && !this.#match(/utf8/y)) this.#fail('expected utf8');
    this.skip();
    if (!this.#text.startsWith('>>', this.#at)) this.#fail('expected >>');
    this.#at += 2;
    return { kind: 'binary', text };
  }

  #word(): Term {
    const digits = this.#match(/-?\d+(?:\.\d+)?/y);
    if (digits !== undefined) return { kind: 'number', value: Number(digits) };
    const name = this.#match(/[a-z][A-Za-z0-9_@]*/y);
    if (name === undefined) this.#fail('expected a term');
    return { kind: 'atom', name: name ?? '' };
  }

  #quoted(quote: '"' | "'"): string {
    let text = '';
    for (this.#at++; !this.done; ) {
      const char = this.#text[this.#at++] ?? '';
      if (char === quote) return text;
      text += char === '\\' ? this.#escape() : char;
    }
    return this.#fail('a quote is not closed');
  }

  #escape(): string {
    const braced = this.#match(/x\{([0-9a-fA-F]{1,6})\}/y);
    const hex = braced === undefined ? this.#match(/x[0-9a-fA-F]{2}/y)?.slice(1) : braced.slice(2, -1);
    if (hex !== undefined) return this.#character(Number.parseInt(hex, 16));
    const octal = this.#match(/[0-7]{1,3}/y);
    if (octal !== undefined) return this.#character(Number.parseInt(octal, 8));
    const control = this.#match(/\^[@-_a-z]/y);
    if (control !== undefined) return this.#character(control.charCodeAt(1) & 31);
    const char = this.#text[this.#at++];
    if (char === undefined) this.#fail('an escape is not finished');
    return ESCAPES[char ?? ''] ?? char ?? '';
  }

  #character(code: number): string {
    return code <= 0x10ffff ? String.fromCodePoint(code) : this.#fail('no such character');
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #match(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #fail(why: string): never {
    throw new Malformed(this.#at, why);
  }
}

const SPACE = /(?:\s|%[^\n]*)*/y;
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', e: '\x1b', s: ' ', d: '\x7f', b: '\b', f: '\f', v: '\v' };
