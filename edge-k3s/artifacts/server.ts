// HTTPS for devices: a client certificate of a Device or no handshake, files by digest, and bounds on everything that one client may hold.
import { constants } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';
import { type Asked, readPath } from './answer.ts';
import type { Cache } from './cache.ts';
import type { Catalogs } from './catalogs.ts';
import { chainOf, createRevocations, deviceOf, type Revocations } from './client-certificate.ts';
import { type ArtifactsCode, explain, type Problem } from './errors.ts';
import type { Pace } from './pace.ts';
import { createPlaces } from './places.ts';
import { type SendDeps, sendBytes, sendFile } from './send.ts';
import type { Supply } from './supply.ts';
import type { TlsFiles } from './tls-files.ts';

export type ServerDeps = {
  host: string;
  port: number;
  files: TlsFiles;
  catalogs: Pick<Catalogs, 'envelope' | 'root'>;
  cache: Pick<Cache, 'lease' | 'forget'>;
  supply: Pick<Supply, 'want'>;
  bounds?: Partial<Bounds>;
  observed(kind: Asked['kind'] | 'other', status: number): void;
  sent(bytes: number): void;
  clock: Clock;
  log: Log;
};

export interface ArtifactsServer {
  listen(): Promise<{ port: number }>;
  /** New connections are judged by these; those that are open by the new lists, from their next request on. */
  setFiles(files: TlsFiles): void;
  close(): Promise<void>;
  readonly transfers: number;
}

/** A device needs one connection; a second one while it has not noticed that the first is dead. */
export type Bounds = {
  connections: number;
  connectionsEach: number;
  transfers: number;
  transfersEach: number;
  /** How long a request waits for a file that is on its way. */
  waitMs: number;
  idleMs: number;
  pace: Pace;
};
/** The slowest modems that firmware goes over (LTE-M, NB-IoT) do 2 kB/s. */
const BOUNDS: Bounds = {
  connections: 2_000,
  connectionsEach: 4,
  transfers: 256,
  transfersEach: 2,
  waitMs: 15_000,
  idleMs: 60_000,
  pace: { everyMs: 60_000, leastBytes: 16_384 },
};
const HANDSHAKE_MS = 10_000;
const REQUEST_MS = 15_000;
const KEEP_ALIVE_MS = 15_000;
const RETRY_SECONDS = 5;
/** What a person has to change is not changed in five seconds. */
const LONG_RETRY_SECONDS = 30;
const GRACE_MS = 5_000;

/** No tickets: a resumed session would show a certificate that nobody proved to hold in this handshake. */
const TLS = { minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET } as const;

type Client = { device: string | undefined; chain: ReturnType<typeof chainOf> };

const STATUS: Partial<Record<ArtifactsCode, number>> = {
  'HR-FW-401': 404,
  'HR-FW-402': 404,
  'HR-FW-403': 403,
  'HR-FW-404': 403,
  'HR-FW-407': 416,
};

export function createArtifactsServer(deps: ServerDeps): ArtifactsServer {
  const { clock, log } = deps;
  const bounds = { ...BOUNDS, ...deps.bounds };
  const connections = createPlaces({ most: bounds.connections, mostEach: bounds.connectionsEach });
  const transfers = createPlaces({ most: bounds.transfers, mostEach: bounds.transfersEach });
  const clients = new WeakMap<object, Client>();
  const sending: SendDeps = { clock, pace: bounds.pace, sent: deps.sent };
  let revocations: Revocations = createRevocations(deps.files.lists);

  const server = createServer(
    {
      ...contextOf(deps.files),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: HANDSHAKE_MS,
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: 8_192,
    },
    (request, response) => void handle(request, response),
  );
  server.maxConnections = bounds.connections;
  server.timeout = bounds.idleMs;
  server.on('tlsClientError', (err) => log.debug({ err: err.message }, 'a TLS handshake failed'));
  server.on('clientError', (_error, socket) => void socket.destroy());
  server.on('secureConnection', (socket) => {
    const client = clientOf(socket);
    clients.set(socket, client);
    const leave = connections.enter(client.device ?? '');
    if (leave === undefined) return void socket.destroy();
    socket.once('close', leave);
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = readPath(request.url ?? '');
    response.once('close', () => deps.observed(asked?.kind ?? 'other', response.statusCode));
    response.on('error', () => undefined);
    const { device, chain } = clients.get(request.socket) ?? { device: undefined, chain: [] };
    try {
      // Revocation first: whoever is on a list learns nothing about what there is.
      if (revocations.revoked(chain)) return refuse(request, response, { code: 'HR-FW-404' });
      if (device === undefined) return refuse(request, response, { code: 'HR-FW-403' });
      if (asked === undefined || !['GET', 'HEAD'].includes(request.method ?? '')) return refuse(request, response, { code: 'HR-FW-401' });
      const leave = transfers.enter(device);
      if (leave === undefined) return refuse(request, response, { code: 'HR-FW-405' });
      try {
        await serve(request, response, asked);
      } finally {
        leave();
      }
    } catch (err) {
      log.error({ err, device }, 'a request could not be answered');
      if (response.headersSent) response.destroy();
      else refuse(request, response, { code: 'HR-FW-421' });
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse, asked: Asked): Promise<void> {
    if (asked.kind !== 'artifact') {
      const { catalogs } = deps;
      const bytes = asked.kind === 'release' ? catalogs.envelope(asked.hex) : catalogs.root(asked.hex, asked.version);
      if (bytes === undefined) return refuse(request, response, { code: 'HR-FW-402' });
      return await sendBytes(request, response, bytes, sending);
    }
    // Who waits for a registry must not take the places of those whose files are here.
    const waitMs = transfers.taken * 2 > bounds.transfers ? 0 : bounds.waitMs;
    const found = await deps.supply.want(asked.hex, waitMs);
    const lease = found === 'here' ? deps.cache.lease(asked.hex) : undefined;
    if (found !== 'here' || lease === undefined)
      return refuse(request, response, found === 'here' ? { code: 'HR-FW-406' } : onItsWay(found));
    try {
      const end = await sendFile(request, response, { hex: asked.hex, path: lease.path, size: lease.size }, sending);
      if (end === 'range') refuse(request, response, { code: 'HR-FW-407' }, { 'content-range': `bytes */${lease.size}` });
      if (end !== 'gone') return;
      deps.cache.forget(asked.hex);
      refuse(request, response, { code: 'HR-FW-406' });
    } finally {
      lease.done();
    }
  }

  function refuse(request: IncomingMessage, response: ServerResponse, problem: Problem, more: Record<string, string> = {}): void {
    if (response.destroyed || response.headersSent) return;
    const status = STATUS[problem.code] ?? 503;
    const retry = problem.found === undefined ? RETRY_SECONDS : LONG_RETRY_SECONDS;
    const body = Buffer.from(`${explain(problem)}\n`);
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': body.length,
      'cache-control': 'no-store',
      ...(status === 503 ? { 'retry-after': String(retry) } : {}),
      // A body that was not read would be taken for the next request.
      ...(request.complete ? {} : { connection: 'close' }),
      ...more,
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(deps.port, deps.host, () => {
          server.off('error', reject);
          server.on('error', (err) => log.error({ err }, 'the server of the artifacts failed'));
          resolve({ port: (server.address() as AddressInfo).port });
        });
      }),
    setFiles(files) {
      server.setSecureContext(contextOf(files));
      revocations = createRevocations(files.lists);
    },
    close: () =>
      new Promise((resolve) => {
        const late = clock.setTimer(GRACE_MS, () => server.closeAllConnections());
        server.close(() => {
          late.cancel();
          resolve();
        });
        server.closeIdleConnections();
      }),
    get transfers() {
      return transfers.taken;
    },
  };
}

const contextOf = ({ key, cert, ca }: TlsFiles) => ({ key, cert, ca, ...TLS });

function clientOf(socket: TLSSocket): Client {
  const chain = chainOf(socket.getPeerCertificate(true));
  const [first] = chain;
  return { chain, device: first === undefined ? undefined : deviceOf(first) };
}

/** What is the matter with a registry is for the log: a device is told the code. */
function onItsWay({ code }: Problem): Problem {
  if (code === 'HR-FW-402' || code === 'HR-FW-406') return { code };
  return { code: 'HR-FW-406', found: `the file could not be fetched so far (${code})` };
}
