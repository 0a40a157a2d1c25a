// The form of JSON that TUF signs: OLPC canonical JSON (http://wiki.laptop.org/go/Canonical_JSON), as securesystemslib writes it. Pure.
import { isObject, type Json } from './strict-json.ts';

/** Keys in the order of their code points, no spaces, only `"` and `\` escaped, UTF-8. */
export function canonical(value: Json): Buffer {
  return Buffer.from(encode(value));
}

function encode(value: Json): string {
  if (typeof value === 'string') return quoted(value);
  if (isObject(value)) {
    const keys = Object.keys(value).sort(byCodePoint);
    return `{${keys.map((key) => `${quoted(key)}:${encode(value[key] ?? null)}`).join(',')}}`;
  }
  if (Array.isArray(value)) return `[${value.map(encode).join(',')}]`;
  return String(value);
}

const quoted = (text: string): string => `"${text.replaceAll(/[\\"]/g, '\\$&')}"`;

/** The order of UTF-8 bytes is that of code points; JavaScript's own is that of UTF-16. */
const byCodePoint = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
