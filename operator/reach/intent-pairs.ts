// How many pairs of devices: by multiplication, never by a list of 10^8. Pure.
import type { Meeting } from './intent-filter.ts';

/** Devices by name on the wire. */
export type Members = ReadonlySet<string>;

/** Two sets of devices: of two segments, or of one; then all of `from` are in `to` too. */
export type Sides = { from: Members; to: Members; same: boolean };

/** Ordered pairs of two different devices. */
export const allPairs = ({ from, to, same }: Sides): number => from.size * (to.size - (same ? 1 : 0));

/** Those of them that meet at some topic. */
export function meetingPairs(sides: Sides, meetings: readonly Meeting[]): number {
  const { from, to, same } = sides;
  const rows = new Set<string>();
  const columns = new Set<string>();
  const points = new Map<string, [publisher: string, subscriber: string]>();
  for (const { publisher, subscriber } of meetings) {
    if (publisher === undefined && subscriber === undefined) return allPairs(sides);
    if ((publisher !== undefined && !from.has(publisher)) || (subscriber !== undefined && !to.has(subscriber))) continue;
    if (publisher !== undefined && subscriber !== undefined) points.set(`${publisher} ${subscriber}`, [publisher, subscriber]);
    else if (publisher !== undefined) rows.add(publisher);
    else if (subscriber !== undefined) columns.add(subscriber);
  }
  const inRows = rows.size * (to.size - (same ? 1 : 0));
  const inColumns = sum(columns, (column) => from.size - (from.has(column) ? 1 : 0));
  const inBoth = sum(columns, (column) => rows.size - (rows.has(column) ? 1 : 0));
  const alone = [...points.values()].filter(([a, b]) => a !== b && !rows.has(a) && !columns.has(b)).length;
  return inRows + inColumns - inBoth + alone;
}

const sum = (names: ReadonlySet<string>, of: (name: string) => number): number => [...names].reduce((total, name) => total + of(name), 0);
