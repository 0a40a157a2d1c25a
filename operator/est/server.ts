// HTTPS with TLS 1.3 for EST (RFC 7030 §3.2, §4): which path does what, in which form, with which limits.

import { constants, X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { Subject } from '../identity/identity.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { isPkcs10, MAX_BODY_BYTES } from './body.ts';
import type { Client, Enrolled } from './enrol.ts';
import { type Refusal, refuse, statusOf } from './errors.ts';
import { type Limiter, limitKey } from './limits.ts';
import { base64Lines, certsOnly, csrAttributes } from './pkcs7.ts';
import type { ToldAnchors } from './told-anchors.ts';

export type Operation = 'cacerts' | 'csrattrs' | 'simpleenroll' | 'simplereenroll' | 'anchors';

export type ServerDeps = {
  host: string;
  port: number;
  key: string;
  cert: string;
  /** What /cacerts gives. */
  authorities: () => readonly X509Certificate[];
  /** What /cacerts gives beside them, and the signed message about it. */
  told?: ToldAnchors;
  enrol: (client: Client, body: Buffer, again: boolean, signal: AbortSignal) => Promise<Enrolled | Refusal>;
  /** What a client has to ask for, where its certificate says who it is. */
  subjectFor: (client: Client, signal: AbortSignal) => Promise<Subject | undefined>;
  perAddress: Limiter;
  observed: (operation: Operation | 'other', status: number) => void;
  clock: Clock;
  log: Log;
};

export interface EstServer {
  listen(): Promise<{ port: number }>;
  /** New connections are served with this certificate. */
  setCertificate(key: string, cert: string): void;
  close(): Promise<void>;
}

/** Devices that hold a connection open take a place from others. */
const MOST_CONNECTIONS = 2_000;
const HANDSHAKE_MS = 10_000;
const REQUEST_MS = 15_000;
const KEEP_ALIVE_MS = 5_000;
/** Longer than any wait for a certificate. */
const ANSWER_MS = 45_000;
const ADDRESS_RETRY_SECONDS = 10;
const MOST_DRAINED_BYTES = 262_144;
const WELL_KNOWN = '/.well-known/est/';
/** Ours, not EST's: the same bytes as on trust/v1/anchors, for a device that cannot reach the broker any more (docs/reference/trust-message.md). */
const ANCHORS_PATH = '/.well-known/hedgerow/anchors';
const METHODS: Record<Operation, 'GET' | 'POST'> = {
  cacerts: 'GET',
  csrattrs: 'GET',
  simpleenroll: 'POST',
  simplereenroll: 'POST',
  anchors: 'GET',
};

/** No tickets: a resumed session would show a certificate that nobody proved to hold in this handshake. */
const TLS = { minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET } as const;

type Answer = { status: number; headers: Record<string, string>; body: string };

export function createEstServer(deps: ServerDeps): EstServer {
  const { log, clock } = deps;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const operation = operationOf(request.url ?? '');
    const gone = new AbortController();
    response.on('close', () => gone.abort(new Error('the client has gone')));
    const late = clock.setTimer(ANSWER_MS, () => gone.abort(new Error('the answer took too long')));
    try {
      const answer = await answerTo(request, operation, gone.signal);
      deps.observed(operation ?? 'other', answer.status);
      send(request, response, answer);
    } catch (err) {
      if (response.writableEnded || response.destroyed) return;
      log.error({ err, operation }, 'an EST request could not be answered');
      deps.observed(operation ?? 'other', 503);
      send(request, response, told(refuse('HR-EST-043', 'the EST server could not do its work this time', ADDRESS_RETRY_SECONDS)));
    } finally {
      late.cancel();
    }
  }

  async function answerTo(request: IncomingMessage, operation: Operation | undefined, signal: AbortSignal): Promise<Answer> {
    if (!deps.perAddress.take(limitKey(addressOf(request)))) return told(refuse('HR-EST-040', undefined, ADDRESS_RETRY_SECONDS));
    if (operation === undefined) return told(refuse('HR-EST-034'));
    if (request.method !== METHODS[operation]) return told(refuse('HR-EST-035'));
    if (operation === 'cacerts') return encoded('application/pkcs7-mime', certsOnly(caCerts()));
    if (operation === 'anchors') {
      const text = deps.told?.message();
      return text === undefined ? told(refuse('HR-EST-036')) : { status: 200, headers: { 'content-type': 'application/json' }, body: text };
    }
    if (operation === 'csrattrs') return encoded('application/csrattrs', csrAttributes(await deps.subjectFor(clientOf(request), signal)));
    if (!isPkcs10(request.headers['content-type'])) return told(refuse('HR-EST-032'));
    const body = await bodyOf(request);
    if (body === undefined) return told(refuse('HR-EST-031'));
    const client = clientOf(request);
    const result = await deps.enrol(client, body, operation === 'simplereenroll', signal);
    if ('code' in result) {
      log.info({ operation, code: result.code, address: addressOf(request) }, 'an enrolment was not served');
      return told(result);
    }
    log.info({ operation, serial: new X509Certificate(result.certificate).serialNumber.toLowerCase() }, 'a certificate was handed out');
    return encoded('application/pkcs7-mime; smime-type=certs-only', certsOnly([new X509Certificate(result.certificate).raw]));
  }

  /** Each once: the broker may have its certificate from a CA of the devices. */
  function caCerts(): Buffer[] {
    const all = [...deps.authorities().map((ca) => ca.raw), ...(deps.told?.anchors() ?? [])];
    return [...new Map(all.map((der) => [der.toString('base64'), der])).values()];
  }

  const server: Server = createServer(
    {
      key: deps.key,
      cert: deps.cert,
      ...TLS,
      requestCert: true,
      // Every client gets to speak; what its certificate is worth is decided by authenticate.ts.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: 8_192,
    },
    (request, response) => void handle(request, response),
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.on('tlsClientError', (err) => log.debug({ err: err.message }, 'a TLS handshake failed'));
  server.on('clientError', (_error, socket) => void socket.destroy());

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(deps.port, deps.host, () => resolve({ port: (server.address() as AddressInfo).port }));
      }),
    setCertificate: (key, cert) => server.setSecureContext({ key, cert, ...TLS }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Without a query, and without the CA label of RFC 7030 §3.2.2: there is one CA a device. */
function operationOf(url: string): Operation | undefined {
  const path = url.split('?', 1)[0] ?? '';
  if (path === ANCHORS_PATH) return 'anchors';
  const name = path.startsWith(WELL_KNOWN) ? path.slice(WELL_KNOWN.length) : '';
  return Object.hasOwn(METHODS, name) && name !== 'anchors' ? (name as Operation) : undefined;
}

function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? '';
}

/** undefined when it is larger than any request may be. What is too much is thrown away as it comes, so that the client reads why; far too much ends the connection. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_DRAINED_BYTES) return undefined;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks);
}

/** What the client showed in its handshake, as bytes: no verdict of the TLS library is looked at. */
function clientOf(request: IncomingMessage): Client {
  const shown: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = (request.socket as TLSSocket).getPeerCertificate(true);
  // A self-signed certificate is its own issuer, and has itself as the next.
  while (next?.raw !== undefined && shown.length < 8 && !shown.some((known) => known.raw.equals(next?.raw as Buffer))) {
    shown.push(new X509Certificate(next.raw));
    next = next.issuerCertificate;
  }
  const [certificate, ...sent] = shown;
  return { certificate, sent, authorization: request.headers.authorization };
}

function encoded(type: string, der: Buffer): Answer {
  return { status: 200, headers: { 'content-type': type, 'content-transfer-encoding': 'base64' }, body: base64Lines(der) };
}

function told(refusal: Refusal): Answer {
  const status = statusOf(refusal);
  const headers: Record<string, string> = { 'content-type': 'text/plain; charset=utf-8' };
  if (status === 401) headers['www-authenticate'] = 'Basic realm="hedgerow", charset="UTF-8"';
  if (refusal.retryAfterSeconds !== undefined) headers['retry-after'] = String(refusal.retryAfterSeconds);
  return { status, headers, body: `${refusal.message}\n` };
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer): void {
  // A body that was not read would be taken for the next request.
  const close = request.complete ? {} : { connection: 'close' };
  response.writeHead(status, { ...headers, ...close, 'cache-control': 'no-store', 'content-length': Buffer.byteLength(body) }).end(body);
}
