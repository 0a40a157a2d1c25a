// Two topic filters and what both of them let through. Pure (MQTT 5 §4.7).

/**
 * The filter of all topics that both match, or undefined when there is none. {device} stands for one device, whichever it is: with a word it has nothing in common
 * that could be granted to a whole segment. When neither ends in + or +/#, the result does not either: no subscription widens at the broker.
 */
export function intersection(a: string, b: string): string | undefined {
  const [left, right] = [a.split('/'), b.split('/')];
  const both: string[] = [];
  for (let i = 0; ; i++) {
    const [x, y] = [left[i], right[i]];
    // x/# also matches x itself: what is left of the other side holds.
    if (x === '#') return [...both, ...right.slice(i)].join('/');
    if (y === '#') return [...both, ...left.slice(i)].join('/');
    if (x === undefined || y === undefined) return x === y ? both.join('/') : undefined;
    if (x !== y && x !== '+' && y !== '+') return undefined;
    both.push(x === '+' ? y : x);
  }
}

/** Whether all topics of `narrow` are in `wide` too. */
export const isWithin = (narrow: string, wide: string): boolean => intersection(narrow, wide) === narrow;

/** Of several filters those that no other one contains, in one order. */
export function widest(filters: readonly string[]): string[] {
  const distinct = [...new Set(filters)].sort();
  return distinct.filter((one) => !distinct.some((other) => other !== one && isWithin(one, other)));
}
