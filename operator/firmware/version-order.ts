// Which of two versions is older (semver.org §11), and which are in a range. Pure.

/** Whether `a` comes before `b`; what stands after + does not count. Both are versions in the API's form. */
export function isBelow(a: string, b: string): boolean {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (const [at, number] of left.core.entries()) {
    const other = right.core[at] ?? 0;
    if (number !== other) return number < other;
  }
  return isEarlier(left.pre, right.pre);
}

/** Whether a version meets every comparison of a range such as `>=2.1.0 <2.4.0`; what is not known is in none. A pre-release is in a range by its order alone. */
export function isInRange(version: string | undefined, range: string): boolean {
  return version !== undefined && range.split(' ').every((comparison) => meets(version, comparison));
}

function meets(version: string, comparison: string): boolean {
  const [, operator = '=', bound = ''] = /^(>=|<=|>|<|=)?(.*)$/.exec(comparison) ?? [];
  const [below, above] = [isBelow(version, bound), isBelow(bound, version)];
  return { '>=': !below, '<=': !above, '>': above, '<': below, '=': !below && !above }[operator] ?? false;
}

function partsOf(version: string): { core: number[]; pre: string[] } {
  const [text = ''] = version.split('+');
  const dash = text.indexOf('-');
  const core = (dash === -1 ? text : text.slice(0, dash)).split('.').map(Number);
  return { core, pre: dash === -1 ? [] : text.slice(dash + 1).split('.') };
}

/** Without a pre-release is later than with one; numbers are earlier than words; the shorter of two is earlier. */
function isEarlier(a: readonly string[], b: readonly string[]): boolean {
  if (a.length === 0 || b.length === 0) return a.length > b.length;
  for (const [at, one] of a.entries()) {
    const other = b[at];
    if (other === undefined) return false;
    if (one === other) continue;
    const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
    if (isNumber && isOtherNumber && Number(one) !== Number(other)) return Number(one) < Number(other);
    return isNumber === isOtherNumber ? one < other : isNumber;
  }
  return a.length < b.length;
}
