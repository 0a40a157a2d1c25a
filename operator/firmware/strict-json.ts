// JSON as signed documents need it: one meaning for one text. What parsers disagree about (a key twice, fractions, lone surrogates, a byte order mark) is refused.
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

/** What is wrong, in words; where, in characters from the start. Never a part of the text. */
export class NotJson extends Error {
  override readonly name = 'NotJson';
}

const MAX_DEPTH = 32;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads the whole of `bytes`; the caller has bounded their number. Throws `NotJson`. Objects have no prototype: `__proto__` is a key like any other. */
export function readJson(bytes: Uint8Array): Json {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new NotJson('it is not UTF-8');
  }
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

/** The same for who has words or a value of its own for what is no JSON; `otherwise` is told what is wrong. */
export function jsonOr<T>(bytes: Uint8Array, otherwise: (found: string) => T): Json | T {
  try {
    return readJson(bytes);
  } catch (error) {
    if (error instanceof NotJson) return otherwise(error.message);
    throw error;
  }
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const SPACE = /[ \t\n\r]*/y;
/** Where it ends; what may be in it `JSON.parse` says. */
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/y;
const INTEGER = /-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;
const WORDS: readonly (readonly [string, Json])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) throw new NotJson(`it is nested more than ${MAX_DEPTH} deep`);
    this.#match(SPACE);
    if (this.#take('{')) return this.#object(depth);
    if (this.#take('[')) return this.#list(depth);
    if (this.#text[this.#at] === '"') return this.#string();
    const word = WORDS.find(([spelling]) => this.#take(spelling));
    if (word !== undefined) return word[1];
    const digits = this.#match(INTEGER);
    if (digits === undefined || !Number.isSafeInteger(Number(digits))) throw this.#wrong();
    return Number(digits);
  }

  end(): void {
    this.#match(SPACE);
    if (this.#at < this.#text.length) throw this.#wrong();
  }

  #object(depth: number): JsonObject {
    const object: Record<string, Json> = Object.create(null);
    this.#match(SPACE);
    if (this.#take('}')) return object;
    do {
      this.#match(SPACE);
      const key = this.#string();
      if (key in object) throw new NotJson(`a key stands twice in one object, at character ${this.#at}`);
      this.#match(SPACE);
      if (!this.#take(':')) throw this.#wrong();
      object[key] = this.value(depth + 1);
      this.#match(SPACE);
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#wrong();
    return object;
  }

  #list(depth: number): Json[] {
    const list: Json[] = [];
    this.#match(SPACE);
    if (this.#take(']')) return list;
    do {
      list.push(this.value(depth + 1));
      this.#match(SPACE);
    } while (this.#take(','));
    if (!this.#take(']')) throw this.#wrong();
    return list;
  }

  #string(): string {
    const spelled = this.#match(STRING);
    if (spelled === undefined) throw this.#wrong();
    let text = '\ud800';
    try {
      text = JSON.parse(spelled) as string;
    } catch {
      // Not well-formed either.
    }
    if (!text.isWellFormed()) throw this.#wrong();
    return text;
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #wrong(): NotJson {
    return new NotJson(`it is no JSON of whole numbers at character ${this.#at}`);
  }
}
