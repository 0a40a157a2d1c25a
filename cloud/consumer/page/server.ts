// The page and its data over HTTP, only to read. It loads nothing from anywhere else, and no other page may put it into a frame.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import { untilAborted } from '../../../operator/runtime/until-aborted.ts';
import type { Store } from '../store.ts';
import { overview } from './overview.ts';

export type PageOptions = {
  pageHost: string;
  pagePort: number;
  pageNames: readonly string[];
  store: Pick<Store, 'reader'>;
  clock: Clock;
  log: Log;
};

const PAGE = fileURLToPath(new URL('page.html', import.meta.url));
/** However many look at the page: the store is asked once in so long for each question. */
const FRESH_MS = 5_000;
const MOST_QUESTIONS = 64;

/** Until the signal aborts. */
export async function servePage({ pageHost, pagePort, pageNames, store, clock, log }: PageOptions, signal: AbortSignal): Promise<void> {
  const html = await readFile(PAGE, 'utf8');
  const data = remembered(await store.reader(), clock);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 8_192 }, (request, response) => {
    answer(request, response, { html, data, names: pageNames }).catch((err: unknown) => {
      log.error({ err }, 'a question of the page failed');
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(pagePort, pageHost, resolve);
  });
  log.info({ port: (server.address() as AddressInfo).port }, 'the page is served');
  await untilAborted(signal);
  server.closeAllConnections();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
}

type Data = (site: string, hours: number) => Promise<string>;
type Parts = { html: string; data: Data; names: readonly string[] };

async function answer(request: IncomingMessage, response: ServerResponse, { html, data, names }: Parts): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'text/plain', 'GET only\n');
  if (!isOwnName(request.headers.host, names))
    return send(response, 421, 'text/plain', 'the page is asked for by an address, as localhost, or by a --page-name\n');
  const url = new URL(request.url ?? '/', 'http://page');
  if (url.pathname === '/') return send(response, 200, 'text/html; charset=utf-8', html, policyOf(html));
  if (url.pathname !== '/overview.json') return send(response, 404, 'text/plain', '/ and /overview.json\n');
  const [site, hours] = [url.searchParams.get('site') ?? '', Number(url.searchParams.get('hours') ?? '24')];
  if (site.length > 64 || !(HOURS as readonly number[]).includes(hours))
    return send(response, 400, 'text/plain', `hours is one of ${HOURS.join(', ')}\n`);
  return send(response, 200, 'application/json', await data(site, hours));
}

const HOURS = [1, 6, 24, 168, 720] as const;

/** A page of somebody else that has its name resolve to this address (DNS rebinding) asks by that name. */
export function isOwnName(host: string | undefined, names: readonly string[]): boolean {
  const name = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i
    .exec(host ?? '')
    ?.slice(1)
    .find((part) => part !== undefined);
  return name !== undefined && (name === 'localhost' || isIP(name) !== 0 || names.includes(name));
}

/** The script and the style of the page by their hashes (CSP 3, 8.4): what somebody smuggles into the data does not run. */
export function policyOf(html: string): string {
  const hashes = (tag: string): string =>
    [...html.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))]
      .map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
      .join(' ');
  return `default-src 'none'; script-src ${hashes('script')}; style-src ${hashes('style')}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  policy = "default-src 'none'; frame-ancestors 'none'",
): void {
  response
    .writeHead(status, {
      ...{ 'content-type': type, 'content-security-policy': policy, 'cache-control': 'no-store' },
      ...{ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cross-origin-resource-policy': 'same-origin' },
    })
    .end(body);
}

/** Answers of the last seconds, and one question at a time: a connection to the store runs one. */
function remembered(connection: DuckDBConnection, clock: Pick<Clock, 'now' | 'elapsed'>): Data {
  const known = new Map<string, { atMs: number; json: Promise<string> }>();
  let last: Promise<unknown> = Promise.resolve();
  return (site, hours) => {
    const question = `${hours} ${site}`;
    const found = known.get(question);
    if (found !== undefined && clock.elapsed() - found.atMs < FRESH_MS) return found.json;
    const json = last.then(async () => JSON.stringify(await overview(connection, { site, hours, nowMs: clock.now() })));
    last = json.catch(() => known.delete(question));
    known.delete(question);
    known.set(question, { atMs: clock.elapsed(), json });
    for (const oldest of known.keys()) if (known.size > MOST_QUESTIONS) known.delete(oldest);
    return json;
  };
}
