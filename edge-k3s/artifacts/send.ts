// Bytes to a device: the piece that was asked for, at the pace of the device, and not slower than the least.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../../operator/runtime/clock.ts';
import { type Piece, pieceOf } from './answer.ts';
import { type Pace, watchPace } from './pace.ts';

export type SendDeps = { clock: Clock; pace: Pace; sent(bytes: number): void };
type StoredFile = { hex: string; path: string; size: number };

/** Of memory for each transfer, beside what the kernel holds. */
const PIECE_BYTES = 65_536;
const YEAR_SECONDS = 31_536_000;

/** An envelope or a root. */
export async function sendBytes(request: IncomingMessage, response: ServerResponse, bytes: Buffer, deps: SendDeps): Promise<void> {
  const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
  const piece = pieceOf({ method: request.method ?? '', headers: request.headers }, etag, bytes.length);
  head(response, piece, etag, bytes.length, 'application/json');
  if (!('span' in piece) || request.method === 'HEAD') return void response.end();
  await flow(response, () => Readable.from([bytes.subarray(piece.span.from, piece.span.to + 1)]), deps);
}

/** `range`: nothing was sent, the range begins behind the end. `gone`: nothing was sent, there is no such file. */
export async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  { hex, path, size }: StoredFile,
  deps: SendDeps,
): Promise<'sent' | 'range' | 'gone'> {
  const etag = `"${hex}"`;
  const piece = pieceOf({ method: request.method ?? '', headers: request.headers }, etag, size);
  if (piece.status === 416) return 'range';
  const file: FileHandle | undefined = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return 'gone';
  try {
    head(response, piece, etag, size, 'application/octet-stream', hex);
    if (!('span' in piece) || request.method === 'HEAD') response.end();
    else {
      const { from: start, to: end } = piece.span;
      await flow(response, () => file.createReadStream({ start, end, autoClose: false, highWaterMark: PIECE_BYTES }), deps);
    }
  } finally {
    await file.close();
  }
  return 'sent';
}

function head(response: ServerResponse, piece: Piece, etag: string, size: number, type: string, hex?: string): void {
  const common = {
    etag,
    'accept-ranges': 'bytes',
    'cache-control': `private, max-age=${YEAR_SECONDS}, immutable`,
    'x-content-type-options': 'nosniff',
  };
  if (piece.status === 416) return void response.writeHead(416, { ...common, 'content-length': 0, 'content-range': `bytes */${size}` });
  if (piece.status === 304) return void response.writeHead(304, common);
  const { from, to } = piece.span;
  response.writeHead(piece.status, {
    ...common,
    'content-type': type,
    'content-length': to - from + 1,
    // RFC 9530: of the whole file, in a partial answer too.
    ...(hex === undefined ? {} : { 'repr-digest': `sha-256=:${Buffer.from(hex, 'hex').toString('base64')}:` }),
    ...(piece.status === 206 ? { 'content-range': `bytes ${from}-${to}/${size}` } : {}),
  });
}

/** Ends when the device has all of it, has gone, or is too slow. */
async function flow(response: ServerResponse, source: () => Readable, { clock, pace, sent }: SendDeps): Promise<void> {
  const { socket } = response;
  const before = socket?.bytesWritten ?? 0;
  const moved = (): number => socket?.bytesWritten ?? before;
  const slow = watchPace(clock, pace, moved, () => response.destroy());
  try {
    await pipeline(source(), response);
  } catch {
    // The device went, or was too slow: it asks for the rest by Range.
  } finally {
    slow.cancel();
    sent(Math.max(0, moved() - before));
  }
}
