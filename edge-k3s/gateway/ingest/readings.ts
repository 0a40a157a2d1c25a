// The numbers in a message, with where they stand. Pure.
import type { Accepted } from '../core/event.ts';

/** A message of a sensor has a handful; each number is a series that the gateway keeps. */
export const MOST_READINGS = 64;
/** Numbers, texts, objects, lists, whatever is in it: a schema looks at each of them. */
const MOST_VALUES = 1_024;
/** `a.b.c`: deeper is no measurement. */
const DEEPEST = 8;
const LONGEST_FIELD = 128;

/** Undefined when there are more of them, or of other values, than a message may have. Text, booleans and null are no readings, and numbers that are none (1e999) neither. */
export function readingsOf(m: unknown): Accepted['readings'] | undefined {
  const found: Found = { readings: [], values: 0 };
  return collect(found, '', m, 0) ? found.readings : undefined;
}

type Found = { readings: Accepted['readings']; values: number };

function collect(found: Found, path: string, value: unknown, depth: number): boolean {
  found.values += 1;
  if (found.values > MOST_VALUES) return false;
  const { readings } = found;
  if (typeof value === 'number') {
    if (Number.isFinite(value)) readings.push([path, value]);
    return readings.length <= MOST_READINGS && path.length <= LONGEST_FIELD;
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return true;
  if (depth === DEEPEST || (Array.isArray(value) && value.length > MOST_VALUES)) return false;
  const prefix = path === '' ? '' : `${path}.`;
  for (const name of Object.keys(value)) {
    if (!collect(found, prefix + name, (value as Record<string, unknown>)[name], depth + 1)) return false;
  }
  return true;
}
