// What lies in the directory of the spool, and how many bytes each part may have. Pure.

/** Audit and security events; alerts; trends (aggregates of windows). */
export const CLASSES = ['security', 'alert', 'trend'] as const;
export type Class = (typeof CLASSES)[number];

export type Bounds = {
  /** Of one file; as much stays free in each class, so that a file can be written anew beside the old one. */
  segmentBytes: number;
  /** Of all files of the class, at all times. */
  classBytes: Readonly<Record<Class, number>>;
};

/** `last`: of a file that was written anew, the last number that it stands for. */
export type SegmentName = { class: Class; first: number; last: number | undefined; salt: number };

/** Of what is left after the cursors; docs/reference/edge-spool.md. */
const SHARES: Readonly<Record<Class, number>> = { security: 0.2, alert: 0.3, trend: 0.5 };
/** A cursor is written anew beside the old one. */
export const CURSOR_BYTES = 16_384;
/** Several are read at once when room is made. */
const MOST_SEGMENT_BYTES = 2 * 1024 ** 2;
/** So that one file more or less is not much of its class. */
const SEGMENTS_AT_LEAST = 8;
export const LEAST_SPOOL_BYTES = 256 * 1024;

export function boundsOf(maxBytes: number, consumers: number): Bounds {
  const left = maxBytes - 2 * CURSOR_BYTES * consumers;
  if (maxBytes < LEAST_SPOOL_BYTES || left < maxBytes / 2)
    throw new RangeError(`${maxBytes} bytes are too few for a spool of ${consumers} consumers`);
  const bytesOf = (one: Class): number => Math.floor(left * SHARES[one]);
  const classBytes = { security: bytesOf('security'), alert: bytesOf('alert'), trend: bytesOf('trend') };
  const smallest = Math.min(...Object.values(classBytes));
  return { classBytes, segmentBytes: Math.min(MOST_SEGMENT_BYTES, Math.floor(smallest / SEGMENTS_AT_LEAST)) };
}

const SEGMENT = /^(security|alert|trend)\.([0-9]{16})(?:-([0-9]{16}))?\.([0-9a-f]{8})\.log$/;
export const TEMPORARY = /\.new$/;

export function fileOf({ class: of, first, last, salt }: SegmentName): string {
  const to = last === undefined ? '' : `-${digits(last)}`;
  return `${of}.${digits(first)}${to}.${salt.toString(16).padStart(8, '0')}.log`;
}

export function segmentOf(file: string): SegmentName | undefined {
  const match = SEGMENT.exec(file);
  if (match === null) return undefined;
  const last = match[3] === undefined ? undefined : Number(match[3]);
  return { class: match[1] as Class, first: Number(match[2]), last, salt: Number.parseInt(match[4] ?? '', 16) };
}

/**
 * Which files count and which are left over: a file that was written anew stands for all whose numbers it covers, and appears under its name only when it is
 * complete. So a power cut between its appearance and the removal of the old ones leaves nothing twice.
 */
export function inForce(names: readonly SegmentName[]): { kept: SegmentName[]; over: SegmentName[] } {
  const covers = (a: SegmentName, b: SegmentName): boolean => {
    if (a === b || a.class !== b.class || a.last === undefined || b.first < a.first || b.first > a.last) return false;
    return b.last === undefined || b.last < a.last || (b.last === a.last && b.first > a.first);
  };
  const over = names.filter((one) => names.some((other) => covers(other, one)));
  return { over, kept: names.filter((one) => !over.includes(one)).sort((a, b) => a.first - b.first) };
}

const digits = (count: number): string => String(count).padStart(16, '0');
