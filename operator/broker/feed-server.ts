// HTTPS to which EMQX sends its events. It believes nobody without the token, answers in a word, and never waits for anything.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../runtime/clock.ts';
import { createTokenBucket } from '../runtime/token-bucket.ts';
import { explain } from './errors.ts';
import { type FeedEvent, readEvent } from './feed-event.ts';

export type FeedServerDeps = {
  host: string;
  port: number;
  /** The whole header `authorization` of a request that is believed. */
  authorization: string;
  /** Once for each event; `refused` says why a request was none. */
  onEvent(event: FeedEvent): void;
  refused(why: FeedRefusal): void;
  clock: Clock;
};

export type FeedRefusal = 'unauthorized' | 'malformed' | 'too-large' | 'too-fast';

export const FEED_PATH = '/events';
/** The event of a denial holds its topic: 65,535 bytes, six times that when JSON escapes each. A device cannot hide by it. */
const MOST_BYTES = 512 * 1024;
/** All events of a fleet that comes back at once after an outage, and what one core parses beside its work. */
const BURST = 20_000;
const REFILL_MS = 0.5;
const MOST_CONNECTIONS = 64;
const REQUEST_MS = 10_000;

export interface FeedServer {
  listen(): Promise<{ port: number }>;
  setCertificate(key: string, cert: string): void;
  close(): Promise<void>;
}

export function createFeedServer(deps: FeedServerDeps, material: { key: string; cert: string }): FeedServer {
  const wanted = digest(deps.authorization);
  const bucket = createTokenBucket({ burst: BURST, refillEveryMs: REFILL_MS, clock: deps.clock });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url !== FEED_PATH) return answer(response, 404, 'POST /events');
    if (request.method !== 'POST') return answer(response, 405, 'POST /events');
    if (!timingSafeEqual(digest(request.headers.authorization ?? ''), wanted)) return refuse(response, 401, 'unauthorized');
    if (!bucket.take()) return refuse(response, 429, 'too-fast');
    const body = await bodyOf(request);
    if (body === undefined) return refuse(response, 413, 'too-large');
    const event = readEvent(body);
    if (event === undefined) return refuse(response, 400, 'malformed');
    deps.onEvent(event);
    answer(response, 204);
  }

  function refuse(response: ServerResponse, status: number, why: FeedRefusal): void {
    deps.refused(why);
    answer(response, status, explain('HR-BRK-041', why));
  }

  const server: Server = createServer(
    {
      ...material,
      minVersion: 'TLSv1.2',
      maxHeaderSize: 8192,
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      handshakeTimeout: REQUEST_MS,
    },
    (request, response) => {
      handle(request, response).catch(() => response.destroy());
    },
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.on('tlsClientError', (_error, socket) => socket.destroy());

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(deps.port, deps.host, () => resolve({ port: (server.address() as AddressInfo).port }));
      }),
    setCertificate: (key, cert) => server.setSecureContext({ key, cert, minVersion: 'TLSv1.2' }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Of equal length whatever was sent: the comparison tells nothing by its time. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Undefined when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function answer(response: ServerResponse, status: number, text = ''): void {
  // What was not read of a body that is too large would be taken for the next request.
  if (status === 413) response.setHeader('connection', 'close');
  response.writeHead(status, text === '' ? {} : { 'content-type': 'text/plain; charset=utf-8' }).end(text === '' ? undefined : `${text}\n`);
}
