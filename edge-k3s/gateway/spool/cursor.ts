// How far a consumer is: what it has acknowledged, and what it may have got. Pure.
import { crc32 } from 'node:zlib';
import { CLASSES, type Class, CURSOR_BYTES } from './layout.ts';
import { NONE, plus, type Ranges } from './ranges.ts';

export type Cursor = Readonly<Record<Class, { acked: Ranges; offered: Ranges }>>;

/** Acknowledgements come in order but for the newest alerts, which overtake: more ranges than this are forgotten, and what they hold is offered again. */
const MOST_RANGES = 64;

export const cursorFile = (consumer: string): string => `cursor.${consumer}`;
export const CONSUMER_NAME = /^[a-z0-9-]{1,32}$/;

/** Everything may have been offered: what a consumer may have is neither merged nor counted anew. */
export function unknownCursor(last: Readonly<Record<Class, number>>): Cursor {
  const all = (of: Class) => ({ acked: NONE, offered: plus(NONE, 1, last[of]) });
  return { security: all('security'), alert: all('alert'), trend: all('trend') };
}

export function writeCursor(cursor: Cursor): Buffer {
  const fields = CLASSES.map((of) => {
    const acked = largest(cursor[of].acked);
    // What is forgotten here stays something that the consumer may have.
    const offered = cursor[of].acked
      .filter((one) => !acked.includes(one))
      .reduce((all, [first, last]) => plus(all, first, last), cursor[of].offered);
    return [of, { acked, offered: spanning(offered) }];
  });
  const body = Buffer.from(JSON.stringify(Object.fromEntries(fields)));
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  const bytes = Buffer.concat([sum, body]);
  if (bytes.length > CURSOR_BYTES) throw new RangeError(`a cursor of ${bytes.length} bytes`);
  return bytes;
}

/** Undefined when it is not what was written. */
export function readCursor(bytes: Buffer): Cursor | undefined {
  if (bytes.length < 6 || crc32(bytes.subarray(4)) !== bytes.readUInt32BE(0)) return undefined;
  return JSON.parse(bytes.toString('utf8', 4)) as Cursor;
}

/** Forgetting an acknowledgement costs a message with the same key. */
function largest(ranges: Ranges): Ranges {
  if (ranges.length <= MOST_RANGES) return ranges;
  const size = ([first, last]: Ranges[number]): number => last - first;
  const least = ranges.map(size).sort((a, b) => b - a)[MOST_RANGES - 1] ?? 0;
  return ranges.filter((one) => size(one) >= least).slice(0, MOST_RANGES);
}

/** Forgetting what was offered would not do: the gaps between are taken for offered. */
function spanning(ranges: Ranges): Ranges {
  const [first, last] = [ranges[0], ranges.at(-1)];
  if (ranges.length <= MOST_RANGES || first === undefined || last === undefined) return ranges;
  return [...ranges.slice(0, MOST_RANGES - 1), [ranges[MOST_RANGES - 1]?.[0] ?? first[0], last[1]]];
}
