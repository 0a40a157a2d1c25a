/** EMQX's dashboard listener: routing, API keys, and the answers it gives before any handler runs. */

import { createHash, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { Broker } from '../broker.ts';
import type { BootFiles, Json, JsonObject } from '../config.ts';
import type { Listeners } from '../listeners.ts';
import type { RuleEngine } from '../rule-engine.ts';
import type { ApiKeys } from './api-keys.ts';

export type Request = {
  method: string;
  path: string;
  params: Record<string, string>;
  query: URLSearchParams;
  headers: http.IncomingHttpHeaders;
  body: Json | undefined;
  text: string;
};
export type Response = { status: number; body?: Json | undefined; text?: string; type?: string; headers?: Record<string, string> };
export type Handler = (request: Request, context: Context) => Response | Promise<Response>;
export type Route = { method: string; path: string; handler: Handler; auth?: false; plainBody?: true };
export type Context = {
  broker: Broker;
  listeners: Listeners;
  keys: ApiKeys;
  rules: RuleEngine;
  version: string;
  node: string;
  boot: BootFiles;
  dataDir: string;
  /** Configuration and ACL text are written down at once, other than bans and rules. */
  saveConfig: () => void;
};

export function createRest(routes: readonly Route[], context: Context, tls?: { cert: string; key: string }): http.Server | https.Server {
  const compiled = routes.map((route) => ({ ...route, words: route.path.split('/') }));
  const listener = (incoming: http.IncomingMessage, outgoing: http.ServerResponse) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      answer(compiled, context, incoming, Buffer.concat(chunks).toString('utf8')).then(
        (response) => write(outgoing, response),
        (error: unknown) => write(outgoing, crash(error, incoming)),
      );
    });
  };
  const server = tls ? https.createServer(tls, listener) : http.createServer(listener);
  server.keepAliveTimeout = 60_000;
  return server;
}

type CompiledRoute = Route & { words: string[] };

async function answer(routes: readonly CompiledRoute[], context: Context, incoming: http.IncomingMessage, text: string): Promise<Response> {
  const url = new URL(incoming.url ?? '/', 'http://broker');
  const candidates = routes.flatMap((route) => {
    const params = match(route.words, url.pathname);
    return params ? [{ route, params }] : [];
  });
  if (candidates.length === 0) return notFound(incoming);
  // A literal path beats one with a variable: /clients/kickout/bulk is not the client "kickout".
  const best = Math.min(...candidates.map(({ params }) => Object.keys(params).length));
  const here = candidates.filter(({ params }) => Object.keys(params).length === best);
  const chosen = here.find(({ route }) => route.method === incoming.method);
  if (!chosen) return { status: 405, headers: { allow: [...new Set(here.map(({ route }) => route.method))].sort().join(', ') } };
  if (chosen.route.auth !== false) {
    const refused = context.keys.authorize(incoming.headers.authorization, url.pathname);
    if (refused) return refused;
  }
  const request: Request = {
    method: incoming.method ?? 'GET',
    path: url.pathname,
    params: chosen.params,
    query: url.searchParams,
    headers: incoming.headers,
    body: undefined,
    text,
  };
  if (!chosen.route.plainBody && text !== '') {
    if (!(incoming.headers['content-type'] ?? 'application/json').includes('json')) return { status: 500 };
    try {
      request.body = JSON.parse(text) as Json;
    } catch {
      return bad('BAD_REQUEST', 'Invalid json message received');
    }
  }
  return chosen.route.handler(request, context);
}

function match(words: string[], path: string): Record<string, string> | undefined {
  const given = path.split('/');
  if (given.length !== words.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, word] of words.entries()) {
    const value = given[at] ?? '';
    if (word.startsWith(':')) {
      if (value === '') return undefined;
      params[word.slice(1)] = decode(value);
    } else if (word !== value) return undefined;
  }
  return params;
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

const NOT_FOUND_HTML = '<html><head><title>404 - NOT FOUND</title></head><body><h1>404 - NOT FOUND</h1></body></html>';

function notFound(incoming: http.IncomingMessage): Response {
  if (incoming.headers.accept?.includes('application/json'))
    return { status: 404, body: { code: 'NOT_FOUND', message: 'Request Path Not Found' } };
  return { status: 404, text: NOT_FOUND_HTML, type: 'text/html' };
}

/** EMQX's own crash answers carry the caller's Authorization header; so do ours, because clients must not log them. */
export function internalError(reason: string, request: Pick<Request, 'headers'>): Response {
  const header = request.headers.authorization ?? '';
  const message = `${reason}, [{headers,#{<<"authorization">> => <<"${header}">>}}, {emqx_dashboard,call,[{file,"emqx_dashboard.erl"},{line,1}]}]`;
  return { status: 500, body: { code: 'INTERNAL_ERROR', message } };
}

/** A defect of the stand-in itself: named so that the fuzz test can tell it from EMQX's own crashes. */
function crash(error: unknown, incoming: http.IncomingMessage): Response {
  return internalError(`error, {stand_in_crash,${error instanceof Error ? error.message : String(error)}}`, { headers: incoming.headers });
}

export function bad(code: string, message: string, status = 400): Response {
  return { status, body: { code, message } };
}

export function ok(body: Json): Response {
  return { status: 200, body };
}

export const NO_CONTENT: Response = { status: 204 };

/** The message of a schema error is JSON inside a string. */
export function invalid(error: JsonObject): Response {
  return bad('BAD_REQUEST', JSON.stringify(descending({ ...error, kind: 'validation_error' })));
}

/** Maps come out of EMQX's JSON encoder with their keys from z to a. */
export function descending(value: Json): Json {
  if (Array.isArray(value)) return value.map(descending);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? 1 : -1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, descending(inner)]));
}

function write(outgoing: http.ServerResponse, response: Response): void {
  const text = response.text ?? (response.body === undefined ? '' : JSON.stringify(response.body));
  const headers: Record<string, string> = { ...response.headers };
  const type = response.type ?? (response.body === undefined ? undefined : 'application/json');
  if (type) headers['content-type'] = type;
  if (response.status !== 204) headers['content-length'] = String(Buffer.byteLength(text));
  outgoing.writeHead(response.status, headers).end(text);
}

export function equalSecret(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
