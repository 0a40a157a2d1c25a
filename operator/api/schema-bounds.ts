// What a schema may cost. Somebody who may write a SegmentPolicy must not be able to stop the gateway of a site with it: a message is checked in a bounded number of steps. Pure.

/** Places in a schema, each $ref counted as often as it is used. */
const MOST_PLACES = 2_000;
/** Of the text that a pattern is tried on; a longer one does not match. */
export const LONGEST_MATCHED = 256;
/** Steps of one pattern on a text of that length, and of all patterns of a schema on one message. */
export const MOST_STEPS = 20_000_000;
const LONGEST_PATTERN = 256;

/** Why a schema is not taken, in a few words; undefined when it is bounded. */
export function schemaProblem(schema: unknown): string | undefined {
  const counting: Counting = { root: schema, places: new Map(), open: new Set() };
  try {
    const places = placesOf(schema, counting, 0);
    return places > MOST_PLACES ? `it has more than ${MOST_PLACES} places, each $ref counted as often as it is used` : undefined;
  } catch (error) {
    if (error instanceof Unbounded) return error.message;
    throw error;
  }
}

class Unbounded extends Error {}
type Counting = { root: unknown; places: Map<string, number>; open: Set<string> };
/** Keywords whose value is data and no schema, and those whose value is a map of names to schemas. */
const DATA = new Set(['const', 'default', 'examples', 'required', 'type', 'dependentRequired']);
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);
const DEEPEST = 32;

function placesOf(schema: unknown, counting: Counting, depth: number): number {
  if (typeof schema !== 'object' || schema === null) return 1;
  if (depth > DEEPEST) throw new Unbounded(`it is nested more than ${DEEPEST} deep`);
  let places = 1;
  for (const [keyword, value] of Object.entries(schema)) {
    checkKeyword(keyword, value, schema, depth);
    if (keyword === '$ref') places += targetPlaces(value, counting, depth);
    else if (keyword === 'enum') places += Array.isArray(value) ? value.length : 1;
    else if (MAPS.has(keyword) && typeof value === 'object' && value !== null)
      for (const one of Object.values(value)) places += placesOf(one, counting, depth + 1);
    else if (!DATA.has(keyword)) places += placesOf(value, counting, depth + 1);
    if (places > MOST_PLACES) return places;
  }
  return places;
}

function checkKeyword(keyword: string, value: unknown, { maxItems }: { maxItems?: unknown }, depth: number): void {
  if (keyword === '$dynamicRef' || keyword === '$recursiveRef') throw new Unbounded(`${keyword} is not taken: it has no bound`);
  // A $ref below it would lead somewhere else than it seems to.
  if (depth > 0 && typeof value === 'string' && (keyword === '$id' || keyword === '$anchor' || keyword === '$dynamicAnchor'))
    throw new Unbounded(`${keyword} stands only at the top`);
  if (keyword === 'uniqueItems' && value === true && !(typeof maxItems === 'number' && maxItems <= LONGEST_MATCHED))
    throw new Unbounded(`uniqueItems needs maxItems of at most ${LONGEST_MATCHED}: each item is compared with each`);
  if (keyword === 'pattern') checkPattern(value);
  if (keyword === 'patternProperties' && typeof value === 'object' && value !== null) Object.keys(value).forEach(checkPattern);
}

/** Only within the schema, and never around in a circle: a message nested in itself would be followed as deep as it likes. */
function targetPlaces(ref: unknown, counting: Counting, depth: number): number {
  if (typeof ref !== 'string' || !ref.startsWith('#/')) throw new Unbounded('a $ref leads out of the schema: write it as #/$defs/NAME');
  const known = counting.places.get(ref);
  if (known !== undefined) return known;
  if (counting.open.has(ref)) throw new Unbounded(`${ref} leads back to itself`);
  counting.open.add(ref);
  const places = placesOf(target(counting.root, ref), counting, depth + 1);
  counting.open.delete(ref);
  counting.places.set(ref, places);
  return places;
}

function target(root: unknown, ref: string): unknown {
  return ref
    .slice(2)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((at, part) => {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) throw new Unbounded(`${ref} is nothing in the schema`);
      return (at as Record<string, unknown>)[part];
    }, root);
}

function checkPattern(pattern: unknown): void {
  if (typeof pattern !== 'string' || pattern.length > LONGEST_PATTERN)
    throw new Unbounded(`a pattern is longer than ${LONGEST_PATTERN} characters`);
  try {
    // As the gateway makes it.
    new RegExp(pattern, 'u');
  } catch {
    throw new Unbounded(`the pattern ${pattern} is no regular expression`);
  }
  if (stepsOf(pattern) > MOST_STEPS)
    throw new Unbounded(`the pattern ${pattern} could take too long: repeat no group that repeats within itself, and use fewer * and +`);
}

/**
 * An upper bound of the steps of a backtracking matcher: each repetition and each choice multiplies, and a group that is repeated counts as often over as its inside
 * can vary. A class, or a character behind a backslash, is one character. `length`: of the text.
 */
export function stepsOf(pattern: string, length: number = LONGEST_MATCHED): number {
  if (/\\[1-9k]|\(\?[=!<]/.test(pattern)) return Number.POSITIVE_INFINITY;
  const plain = pattern.replaceAll(/\\./g, 'x').replaceAll(/\[[^\]]*\]/g, 'x');
  const open = [pattern.startsWith('^') ? 1 : Math.max(1, length)];
  const multiply = (by: number): void => void open.push((open.pop() ?? 1) * by);
  /** Of what a repetition would repeat. */
  let inside = 1;
  for (const [token] of plain.matchAll(/\(\?:|[(|)]|[*+?]\??|\{\d*,?\d*\}\??|[\s\S]/g)) {
    if (token.startsWith('(')) open.push(1);
    else if (token === '|') multiply(2);
    else if (token === ')' && open.length > 1) {
      inside = open.pop() ?? 1;
      multiply(inside);
      continue;
    } else if (/^[*+?{]/.test(token)) {
      const times = timesOf(token, length);
      // Its inside was counted once already.
      multiply(times * inside ** Math.max(0, times - 1));
    }
    inside = 1;
  }
  return open.reduce((product, one) => product * one, 1);
}

function timesOf(quantifier: string, length: number): number {
  if (quantifier.startsWith('?')) return 2;
  const [, least = '', comma = '', most = ''] = /^\{(\d*)(,?)(\d*)\}/.exec(quantifier) ?? [];
  const times = comma === '' && least !== '' ? Number(least) : most === '' ? length : Number(most);
  return Math.min(Math.max(1, times), Math.max(1, length));
}
