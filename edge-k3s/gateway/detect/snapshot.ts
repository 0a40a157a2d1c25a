// Is what was read back of the same make as what it is to replace? A snapshot comes from a disk that may have lost or bent anything.

/** Same keys, same types all the way down, every number finite, no list longer than the largest that a detector keeps. */
export function isLike<T>(found: unknown, model: T): found is T {
  if (typeof model === 'number') return Number.isFinite(found);
  if (Array.isArray(model))
    return Array.isArray(found) && (isNumbers(model) ? found.length <= LONGEST && isNumbers(found) : sameItems(found, model));
  if (typeof model !== 'object' || model === null) return typeof found === typeof model && (model !== null || found === null);
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return false;
  const parts = found as Record<string, unknown>;
  const keys = Object.keys(model);
  return Object.keys(parts).length === keys.length && keys.every((key) => isLike(parts[key], (model as Record<string, unknown>)[key]));
}

/** A pattern of 16 readings keeps 400 windows. */
const LONGEST = 6_400;

const isNumbers = (list: readonly unknown[]): boolean => list.every((one) => Number.isFinite(one));

const sameItems = (found: readonly unknown[], model: readonly unknown[]): boolean =>
  found.length === model.length && model.every((one, n) => isLike(found[n], one));
