/** As much of HOCON as `PUT /configs` and `GET /configs?key=` need: nested keys, objects, arrays, the three kinds of string, comments. */

import type { Json, JsonObject } from './config.ts';

export class HoconError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** Objects in place of dotted keys; a key given twice is merged. Throws HoconError. */
export function parseHocon(text: string): JsonObject {
  const reader = new Reader(text);
  const object = reader.members(undefined);
  reader.skip();
  if (!reader.atEnd) throw reader.error();
  return object;
}

/** `patch` wins; objects are merged key by key, everything else is replaced. */
export function merge(base: Json, patch: Json): Json {
  if (!isObject(base) || !isObject(patch)) return patch;
  const merged: JsonObject = { ...base };
  // A key called __proto__ becomes an ordinary key of the copy, never its prototype.
  for (const [key, value] of Object.entries(patch)) {
    const old = Object.hasOwn(merged, key) ? merged[key] : undefined;
    Object.defineProperty(merged, key, {
      value: old === undefined ? value : merge(old, value),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return merged;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const MAX_DEPTH = 64;

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  error(): HoconError {
    const line = this.#text.slice(0, this.#at).split('\n').length;
    return new HoconError(line, this.atEnd ? 'syntax error before: ' : `syntax error before: '${this.#text[this.#at]}'`);
  }

  /** White space, line ends and comments. */
  skip(): void {
    this.#take(/(?:\s|#[^\n]*|\/\/[^\n]*)*/y);
  }

  /** `key = value` pairs up to `close`, which is not consumed. */
  members(close: '}' | undefined): JsonObject {
    let object: JsonObject = {};
    for (;;) {
      this.#take(/(?:\s|,|#[^\n]*|\/\/[^\n]*)*/y);
      if (this.atEnd || this.#text[this.#at] === close) return object;
      const path = this.#path();
      this.#take(/\s*/y);
      const brace = this.#text[this.#at] === '{';
      if (!brace && this.#take(/[=:]/y) === undefined) throw this.error();
      this.#take(/\s*/y);
      const value = this.#value();
      const nested = path.reduceRight<Json>((inner, key) => merge({}, Object.fromEntries([[key, inner]])), value);
      object = merge(object, nested) as JsonObject;
    }
  }

  #path(): string[] {
    const path: string[] = [];
    do path.push(this.#quoted() ?? this.#take(/[A-Za-z0-9_$@-]+/y) ?? this.#fail());
    while (this.#take(/\./y) !== undefined);
    return path;
  }

  #value(): Json {
    if (++this.#depth > MAX_DEPTH) throw this.error();
    const value = this.#object() ?? this.#array() ?? this.#quoted() ?? this.#bare();
    this.#depth--;
    return value;
  }

  #object(): JsonObject | undefined {
    if (this.#take(/\{/y) === undefined) return undefined;
    const object = this.members('}');
    if (this.#take(/\}/y) === undefined) throw this.error();
    return object;
  }

  #array(): Json[] | undefined {
    if (this.#take(/\[/y) === undefined) return undefined;
    const items: Json[] = [];
    for (;;) {
      this.#take(/(?:\s|,|#[^\n]*|\/\/[^\n]*)*/y);
      if (this.#take(/\]/y) !== undefined) return items;
      if (this.atEnd) throw this.error();
      items.push(this.#value());
    }
  }

  /** `"""raw"""` or `"with \\ escapes"`. */
  #quoted(): string | undefined {
    const raw = this.#take(/"""[\s\S]*?"""/y);
    if (raw !== undefined) return raw.slice(3, -3);
    const quoted = this.#take(/"(?:[^"\\\n]|\\[^\n])*"/y);
    return quoted?.slice(1, -1).replace(/\\(u[0-9a-fA-F]{4}|.)/g, (_all, code: string) => {
      if (code.length === 5) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
      return { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }[code] ?? code;
    });
  }

  #bare(): Json {
    const word = (this.#take(/[^\s,{}[\]"#=]+(?:[ \t]+[^\s,{}[\]"#=]+)*/y) ?? this.#fail()).trim();
    if (word === 'true' || word === 'false') return word === 'true';
    if (word === 'null') return null;
    return /^-?\d+(\.\d+)?$/.test(word) ? Number(word) : word;
  }

  #fail(): never {
    throw this.error();
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}

/** One root as EMQX prints it: keys sorted, words bare, other strings quoted. */
export function printHocon(name: string, value: JsonObject): string {
  return `${name} ${block(value, '')}\n`;
}

function block(object: JsonObject, indent: string): string {
  const lines = Object.keys(object)
    .sort()
    .map((key) => {
      const value = object[key] ?? null;
      const name = /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
      return `${indent}  ${name} ${isObject(value) ? block(value, `${indent}  `) : `= ${scalar(value, `${indent}  `)}`}\n`;
    });
  return lines.length === 0 ? '{}' : `{\n${lines.join('')}${indent}}`;
}

function scalar(value: Json, indent: string): string {
  if (Array.isArray(value)) {
    if (!value.some(isObject)) return `[${value.map((item) => scalar(item, indent)).join(', ')}]`;
    const items = value.map((item) => `${indent}  ${isObject(item) ? block(item, `${indent}  `) : scalar(item, indent)}`);
    return `[\n${items.join(',\n')}\n${indent}]`;
  }
  if (typeof value !== 'string') return String(value);
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(value) ? value : JSON.stringify(value);
}
