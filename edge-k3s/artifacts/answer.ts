// What is asked for, and which bytes of it: paths, HEAD, If-None-Match, Range and If-Range (RFC 9110 §13, §14). Pure.
import type { IncomingHttpHeaders } from 'node:http';

export type Asked = { kind: 'artifact'; hex: string } | { kind: 'release'; hex: string } | { kind: 'root'; hex: string; version: number };

/** Both inclusive, as in Content-Range. */
export type Span = { from: number; to: number };

export type Piece = { status: 200 | 206; span: Span } | { status: 304 } | { status: 416 };

const PATH = /^\/fw\/(?:sha256\/([0-9a-f]{64})|releases\/([0-9a-f]{64})|roots\/([0-9a-f]{64})\/([1-9][0-9]{0,9})\.root\.json)$/;

/** Undefined for what is none of the three paths. A query is none of ours. */
export function readPath(url: string): Asked | undefined {
  const [, artifact, release, pinned, version] = PATH.exec(url) ?? [];
  if (artifact !== undefined) return { kind: 'artifact', hex: artifact };
  if (release !== undefined) return { kind: 'release', hex: release };
  return pinned === undefined ? undefined : { kind: 'root', hex: pinned, version: Number(version) };
}

/** Which bytes of a file of `size` bytes with this strong `etag`. Several ranges are answered with the whole, which §14.2 allows; so is a range that is none. */
export function pieceOf({ method, headers }: { method: string; headers: IncomingHttpHeaders }, etag: string, size: number): Piece {
  if (matches(headers['if-none-match'], etag)) return { status: 304 };
  const whole: Piece = { status: 200, span: { from: 0, to: size - 1 } };
  // §14.2: Range is defined for GET only. §13.1.5: If-Range compares strongly; a date is none of ours.
  const condition = headers['if-range'];
  if (method !== 'GET' || headers.range === undefined || (condition !== undefined && condition !== etag)) return whole;
  const span = spanOf(headers.range, size);
  if (span === 'none') return whole;
  return span === 'beyond' ? { status: 416 } : { status: 206, span };
}

function spanOf(range: string, size: number): Span | 'none' | 'beyond' {
  const [, first, last] = /^bytes=([0-9]{0,16})-([0-9]{0,16})$/.exec(range.trim()) ?? [];
  if (first === undefined || last === undefined || first + last === '') return 'none';
  if (first === '') return Number(last) === 0 ? 'beyond' : { from: Math.max(0, size - Number(last)), to: size - 1 };
  const from = Number(first);
  const to = last === '' ? size - 1 : Math.min(size - 1, Number(last));
  if (last !== '' && Number(last) < from) return 'none';
  return from >= size ? 'beyond' : { from, to };
}

/** Weakly, as §13.1.2 has it. */
function matches(header: string | undefined, etag: string): boolean {
  return header?.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim())) === true;
}
