// Reads the text of EMQX's file source: Erlang terms, each closed by a full stop (file:consult/1). Only what such texts hold is read; anything else makes the whole text unread, as
// one wrong term makes Erlang refuse all of it.

export type Term =
  | { is: 'atom' | 'text'; value: string }
  | { is: 'integer'; value: number }
  | { is: 'tuple' | 'list'; items: readonly Term[] };

/** `line` counts from 1; `text` is the term as it stands in the source. */
export type Form = { term: Term; line: number; text: string };

export type Forms = { forms: readonly Form[] } | { fault: string };

/** Deeper than any rule that means something; a hostile text must not end the process. */
const DEEPEST = 50;

class Unread extends Error {}

export function readForms(source: string): Forms {
  const reader = new Reader(source);
  try {
    return { forms: reader.forms() };
  } catch (error) {
    if (error instanceof Unread) return { fault: `${error.message} in line ${lineAt(source, reader.at)}` };
    throw error;
  }
}

const lineAt = (source: string, at: number): number => source.slice(0, at).split('\n').length;

class Reader {
  at = 0;
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  forms(): Form[] {
    const forms: Form[] = [];
    let line = 1;
    let counted = 0;
    for (this.#space(); this.at < this.#source.length; this.#space()) {
      const from = this.at;
      line += this.#source.slice(counted, from).split('\n').length - 1;
      counted = from;
      const term = this.#term(0);
      const text = this.#source.slice(from, this.at);
      this.#space();
      this.#take(/\.(?=[\s%]|$)/y, 'a rule that does not end in a full stop');
      forms.push({ term, line, text });
    }
    return forms;
  }

  #space(): void {
    this.#find(/(?:[ \t\r\n\f\v]|%[^\n]*)*/y);
  }

  #term(depth: number): Term {
    if (depth > DEEPEST) throw new Unread('terms too deep in each other');
    const atom = this.#find(/[a-z][A-Za-z0-9_@]*/y) ?? this.#quotedAtom();
    if (atom !== undefined) return { is: 'atom', value: atom };
    const number = this.#find(/-?[0-9]{1,15}(?![0-9A-Za-z_#.])|-?[0-9]{1,15}(?=\.[\s%])/y);
    if (number !== undefined) return { is: 'integer', value: Number(number) };
    if (this.#source[this.at] === '"') return { is: 'text', value: this.#strings() };
    if (this.#find(/<</y) !== undefined) return { is: 'text', value: this.#binary() };
    if (this.#find(/\{/y) !== undefined) return { is: 'tuple', items: this.#items(/\}/y, depth) };
    if (this.#find(/\[/y) !== undefined) return { is: 'list', items: this.#items(/\]/y, depth) };
    throw new Unread('something that is no part of a rule');
  }

  #items(close: RegExp, depth: number): Term[] {
    const items: Term[] = [];
    this.#space();
    if (this.#find(close) !== undefined) return items;
    for (;;) {
      items.push(this.#term(depth + 1));
      this.#space();
      if (this.#find(close) !== undefined) return items;
      this.#take(/,/y, 'a part without a comma or a bracket after it');
      this.#space();
    }
  }

  #quotedAtom(): string | undefined {
    const found = this.#find(/'(?:[A-Za-z0-9_@ .:-])*'/y);
    return found?.slice(1, -1);
  }

  /** Strings that follow each other are one. */
  #strings(): string {
    let text = '';
    do {
      // Three quotes begin another kind of string from OTP 27 on, and are two strings before.
      if (this.#find(/"""/y) !== undefined) throw new Unread('three quotes');
      text += this.#string();
      this.#space();
    } while (this.#source[this.at] === '"');
    return text;
  }

  #binary(): string {
    this.#space();
    const text = this.#source[this.at] === '"' ? this.#strings() : '';
    this.#find(/\/utf8/y);
    this.#space();
    this.#take(/>>/y, 'a binary of something else than a string');
    return text;
  }

  #string(): string {
    const found = this.#take(/"(?:[^"\\]|\\["\\ntr/.+$^()[\]{}|*?-])*"/y, 'a string that does not end, or with an escape that is not read');
    return found.slice(1, -1).replace(/\\(.)/g, (_all, one: string) => ({ n: '\n', t: '\t', r: '\r' })[one] ?? one);
  }

  #find(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#source)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  #take(pattern: RegExp, fault: string): string {
    const found = this.#find(pattern);
    if (found === undefined) throw new Unread(fault);
    return found;
  }
}
