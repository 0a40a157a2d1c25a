// RFC 7386: the patch that turns one JSON document into another, and equality of JSON.

type Json = Record<string, unknown>;

/** The smallest merge patch from `before` to `after`; `undefined` when they are equal. A field that is missing or `undefined` in `after` is removed by `null`; arrays are replaced whole. */
export function mergePatchFor(before: object, after: object): Json | undefined {
  const patch: Json = {};
  const from = before as Json;
  const to = after as Json;
  for (const name of Object.keys(from)) {
    if (to[name] === undefined && from[name] !== undefined) patch[name] = null;
  }
  for (const [name, value] of Object.entries(to)) {
    const old = from[name];
    if (value === undefined || equalJson(old, value)) continue;
    patch[name] = isJson(old) && isJson(value) ? (mergePatchFor(old, value) ?? {}) : value;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Equal as JSON: order of fields does not count, and a field that is `undefined` is not there. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]));
  }
  if (!isJson(a) || !isJson(b)) return false;
  const names = Object.keys(a).filter((name) => a[name] !== undefined);
  return (
    names.length === Object.keys(b).filter((name) => b[name] !== undefined).length && names.every((name) => equalJson(a[name], b[name]))
  );
}

export const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
