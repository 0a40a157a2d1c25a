// Lists and patterns of serial numbers, as people write them into ConfigMaps and manifests. Pure; it reads what anybody with rights on a ConfigMap may have pasted.

/** What spec.hardware.serial of a Device may be (operator/api/device.ts): nothing in it means anything to a shell, to YAML or to a list. */
const SERIAL = /^[A-Za-z0-9]([A-Za-z0-9 ._:/+-]{0,62}[A-Za-z0-9])?$/;

export function isSerial(text: string): boolean {
  return SERIAL.test(text);
}

/** etcd's limit for an object is the limit of a ConfigMap; more than this cannot come from one. */
export const MOST_LIST_CHARS = 1_048_576;

/** How often each serial number stands on a list. */
export type SerialCounts = ReadonlyMap<string, number>;

export type ReadList = { ok: true; serials: SerialCounts } | { ok: false; line: number } | { ok: false; line?: undefined };

/**
 * One serial number a line; `#` begins a comment, blank lines and white space around mean nothing. A line that is no serial number makes the whole list unreadable:
 * a table or half a file that was pasted must not pass for the list that was meant. Without `line`: it is larger than a list can be.
 */
export function readSerialList(text: string): ReadList {
  if (text.length > MOST_LIST_CHARS) return { ok: false };
  const serials = new Map<string, number>();
  let number = 0;
  for (const line of text.replace(/^\uFEFF/, '').split('\n')) {
    number += 1;
    const hash = line.indexOf('#');
    const serial = (hash < 0 ? line : line.slice(0, hash)).trim();
    if (serial === '') continue;
    if (!isSerial(serial)) return { ok: false, line: number };
    serials.set(serial, (serials.get(serial) ?? 0) + 1);
  }
  return { ok: true, serials };
}

/** In how many places of all the lists it stands. */
export function timesListed(lists: readonly SerialCounts[], serial: string): number {
  return lists.reduce((sum, list) => sum + (list.get(serial) ?? 0), 0);
}

/** The whole serial number: `*` stands for any characters, `?` for one, everything else for itself. Two fingers and one place to go back to: no input makes it slow. */
export function matchesPattern(pattern: string, serial: string): boolean {
  let [p, s] = [0, 0];
  let star: { p: number; s: number } | undefined;
  while (s < serial.length) {
    if (pattern[p] === '*') {
      star = { p, s };
      p += 1;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === serial[s])) {
      p += 1;
      s += 1;
    } else if (star !== undefined) {
      star.s += 1;
      p = star.p + 1;
      s = star.s;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
