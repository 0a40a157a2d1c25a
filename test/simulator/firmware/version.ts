/** Negative when `a` comes before `b` (semver.org §11). */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  for (let at = 0; at < 3; at++) if (left.core[at] !== right.core[at]) return (left.core[at] ?? 0) - (right.core[at] ?? 0);
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  for (let at = 0; at < Math.max(left.pre.length, right.pre.length); at++) {
    const [one, other] = [left.pre[at], right.pre[at]];
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1;
    if (one === other) continue;
    const [isNumber, isOther] = [/^\d+$/.test(one), /^\d+$/.test(other)];
    if (isNumber && isOther) return Number(one) - Number(other);
    if (isNumber !== isOther) return isNumber ? -1 : 1;
    return one < other ? -1 : 1;
  }
  return 0;
}

function parts(version: string): { core: number[]; pre: string[] } {
  const [plain = ''] = version.split('+');
  const [core = '', ...pre] = plain.split('-');
  return { core: core.split('.').map(Number), pre: pre.length === 0 ? [] : pre.join('-').split('.') };
}
