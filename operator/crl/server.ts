// The lists over plain HTTP, as distribution points are (RFC 5280 §4.2.1.13): signed, so that nobody on the way can change them, and small enough for any cache.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { explain, type Problem } from './errors.ts';
import type { PublishedList } from './publisher.ts';

export type ListServerDeps = {
  host: string;
  port: number;
  list(issuer: string): PublishedList | undefined;
  /** Undefined for an issuer that this process does not serve. */
  problem(issuer: string): Problem | undefined;
  observed(status: number): void;
  clock: Clock;
  log: Log;
};

export interface ListServer {
  listen(): Promise<{ port: number }>;
  close(): Promise<void>;
}

type Format = 'crl' | 'pem';
export type Answer = { status: number; headers: Record<string, string | number>; body?: Buffer };

/** A list takes a broker seconds; whoever needs longer holds a place that others want. */
const IDLE_MS = 30_000;
const MOST_CONNECTIONS = 1_000;
/** EMQX asks once a minute: a cache between us and it must not make that two. */
const MOST_AGE_SECONDS = 30;
const RETRY_SECONDS = 10;
const TYPES: Record<Format, string> = { crl: 'application/pkix-crl', pem: 'application/x-pem-file' };
const PATH = /^\/crl\/(?:([a-z0-9-]{1,63})\/)?([a-z0-9.-]{1,253})\.(crl|pem)$/;

export function createListServer(deps: ListServerDeps): ListServer {
  const { host, port, observed, log } = deps;
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 8_192 }, (request, response) => {
    const answer = answerTo(request, deps);
    observed(answer.status);
    send(request, response, answer);
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.timeout = IDLE_MS;
  server.on('clientError', (_error, socket) => void socket.destroy());
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => {
          server.off('error', reject);
          server.on('error', (err) => log.error({ err }, 'the server of the lists failed'));
          resolve({ port: (server.address() as AddressInfo).port });
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send({ method }: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  const length = body === undefined ? {} : { 'content-length': body.length };
  response.writeHead(status, { 'x-content-type-options': 'nosniff', ...headers, ...length });
  response.end(method === 'HEAD' ? undefined : body);
}

type Asked = Pick<IncomingMessage, 'method' | 'url' | 'headers'>;

export function answerTo(request: Asked, { list, problem, clock }: Pick<ListServerDeps, 'list' | 'problem' | 'clock'>): Answer {
  const asked = parsePath(request.url ?? '');
  if (asked === undefined) return said(404, { code: 'HR-CRL-030' });
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return said(405, { code: 'HR-CRL-030', found: 'GET only' }, { allow: 'GET, HEAD' });
  const found = list(asked.issuer);
  const leftMs = (found?.nextUpdateMs ?? 0) - clock.now();
  if (found === undefined || leftMs <= 0) {
    const why = problem(asked.issuer);
    if (why === undefined) return said(404, { code: 'HR-CRL-030', found: 'there is no list of such an issuer' });
    return said(503, why, { 'retry-after': RETRY_SECONDS });
  }
  const etag = `"${found.hash.slice(0, 32)}.${asked.format}"`;
  const headers = {
    etag,
    // Never beyond nextUpdate, whatever a cache rounds to.
    'cache-control': `public, max-age=${Math.min(MOST_AGE_SECONDS, Math.floor(leftMs / 2_000))}`,
    ...(found.datable ? { 'last-modified': new Date(found.issuedAtMs).toUTCString() } : {}),
  };
  if (isUnchanged(request, etag, found)) return { status: 304, headers };
  return {
    status: 200,
    headers: { ...headers, 'content-type': TYPES[asked.format] },
    body: asked.format === 'pem' ? found.pem : found.der,
  };
}

function parsePath(url: string): { issuer: string; format: Format } | undefined {
  const [, namespace, name, format] = PATH.exec(url.split('?', 1)[0] ?? '') ?? [];
  if (name === undefined || (format !== 'crl' && format !== 'pem')) return undefined;
  return { issuer: namespace === undefined ? `ClusterIssuer//${name}` : `Issuer/${namespace}/${name}`, format };
}

/** RFC 9110 §13.2.2: If-None-Match, and only without it If-Modified-Since. */
function isUnchanged({ headers }: Asked, etag: string, { datable, issuedAtMs }: PublishedList): boolean {
  const tags = headers['if-none-match'];
  if (tags !== undefined) return tags.split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()));
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return datable && !Number.isNaN(since) && Math.floor(issuedAtMs / 1000) * 1000 <= since;
}

function said(status: number, why: Problem, headers: Record<string, string | number> = {}): Answer {
  const body = Buffer.from(`${explain(why)}\n`);
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers }, body };
}
