/** EMQX's REST API as tests call it: one keep-alive agent, the server certificate pinned, answers as they came. */

import http from 'node:http';
import https from 'node:https';
import type { Json } from './config.ts';

export type RestAnswer = { status: number; headers: Record<string, string>; body: Json; text: string };
export type RestRequest = { headers?: Record<string, string>; body?: Json; text?: string };
export type RestClient = {
  (method: string, path: string, request?: RestRequest): Promise<RestAnswer>;
  close(): void;
};

const TIMEOUT_MS = 30_000;

/** `path` begins behind `/api/v5` unless it begins with `//`. `trust`: the server's certificate or its CA, in PEM. */
export function createRestClient(options: { url: string; trust?: string; authorization?: string }): RestClient {
  const base = new URL(options.url);
  const secure = base.protocol === 'https:';
  // The certificate itself may be the anchor: the stand-in is not told its CA.
  const agent = secure
    ? new https.Agent({ keepAlive: true, ...(options.trust === undefined ? {} : { ca: options.trust }), allowPartialTrustChain: true })
    : new http.Agent({ keepAlive: true });
  const call = (method: string, path: string, request: RestRequest = {}): Promise<RestAnswer> => {
    const text = request.text ?? (request.body === undefined ? undefined : JSON.stringify(request.body));
    const headers: Record<string, string> = {};
    if (options.authorization !== undefined) headers.authorization = options.authorization;
    if (text !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-length'] = String(Buffer.byteLength(text));
    }
    Object.assign(headers, request.headers);
    return new Promise((resolve, reject) => {
      const outgoing = (secure ? https : http).request(
        {
          host: base.hostname,
          port: base.port,
          path: path.startsWith('//') ? path.slice(1) : `/api/v5${path}`,
          method,
          headers,
          agent,
          timeout: TIMEOUT_MS,
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('error', reject);
          incoming.on('end', () => resolve(answerOf(incoming.statusCode ?? 0, incoming.headers, Buffer.concat(chunks).toString('utf8'))));
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${path}: no answer within ${TIMEOUT_MS} ms`)));
      outgoing.on('error', reject);
      outgoing.end(text);
    });
  };
  return Object.assign(call, { close: () => agent.destroy() });
}

export function basic(key: { key: string; secret: string }): string {
  return `Basic ${Buffer.from(`${key.key}:${key.secret}`).toString('base64')}`;
}

function answerOf(status: number, headers: NodeJS.Dict<string | string[]>, text: string): RestAnswer {
  const flat = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  const isJson = flat['content-type']?.includes('json') === true;
  return { status, headers: flat, body: text === '' ? null : isJson ? (JSON.parse(text) as Json) : text, text };
}
