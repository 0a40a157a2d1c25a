// coaps+tcp for devices that speak no MQTT (RFC 8323): mutual TLS with the certificate that the broker would take too, and behind it the same pipeline. Who a message is of
// is what the certificate says, never what stands in it. Bounds on everything that one device may hold.
import { constants } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Clock, Log } from '../../../operator/kube/ports.ts';
import { chainOf, createRevocations, deviceOf } from '../../artifacts/client-certificate.ts';
import { createPlaces } from '../../artifacts/places.ts';
import type { TlsFiles } from '../../artifacts/tls-files.ts';
import { createConnection, type Verdict } from './connection.ts';

export type CoapServerDeps = {
  host: string;
  port: number;
  files: TlsFiles;
  /** Options and payload of a message. */
  maximumBytes: number;
  /** `device`: `<device>.<site>`. Resolves when the message is on disk or refused. */
  accept(device: string, stream: string, payload: Buffer): Promise<Verdict>;
  clock: Pick<Clock, 'setTimer'>;
  log: Log;
  bounds?: Partial<Bounds>;
};

export type CoapServer = {
  listen(): Promise<{ port: number }>;
  /** New connections are judged by these; of the open ones those end whose certificate a new list names. */
  setFiles(files: TlsFiles): void;
  close(): Promise<void>;
  readonly connections: number;
};

type Bounds = { connections: number; connectionsEach: number; idleMs: number; unreadBytes: number; waitingEach: number };
/** Two of one device: one that it uses and one that it has not noticed the end of. Idle for longer than any NAT keeps its place. */
const BOUNDS: Bounds = { connections: 2_000, connectionsEach: 2, idleMs: 900_000, unreadBytes: 65_536, waitingEach: 64 };
const HANDSHAKE_MS = 10_000;
/** No tickets, as at the artifacts: a resumed session proves no key. RFC 8323 §8.2 has the ALPN name. */
const TLS = { minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET, ALPNProtocols: ['coap'] } as const;

export function createCoapServer(deps: CoapServerDeps): CoapServer {
  const { log } = deps;
  const bounds = { ...BOUNDS, ...deps.bounds };
  const places = createPlaces({ most: bounds.connections, mostEach: bounds.connectionsEach });
  const open = new Map<TLSSocket, ReturnType<typeof chainOf>>();
  let revocations = createRevocations(deps.files.lists);
  const server = createServer({ ...contextOf(deps.files), requestCert: true, rejectUnauthorized: true, handshakeTimeout: HANDSHAKE_MS });
  server.maxConnections = bounds.connections;
  server.on('tlsClientError', (err) => log.debug({ err: err.message }, 'a TLS handshake failed'));
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    const chain = chainOf(socket.getPeerCertificate(true));
    const device = chain[0] === undefined ? undefined : deviceOf(chain[0]);
    const leave = device === undefined || revocations.revoked(chain) ? undefined : places.enter(device);
    if (device === undefined || leave === undefined) return void socket.destroy();
    open.set(socket, chain);
    socket.once('close', () => {
      open.delete(socket);
      leave();
    });
    serve(socket, device);
  });

  function serve(socket: TLSSocket, device: string): void {
    socket.setNoDelay(true);
    const whenIdle = () => deps.clock.setTimer(bounds.idleMs, () => void socket.destroy());
    let idle = whenIdle();
    socket.once('close', () => idle.cancel());
    const connection = createConnection({
      maximumBytes: deps.maximumBytes,
      mostWaiting: bounds.waitingEach,
      accept: (stream, payload) => deps.accept(device, stream, payload),
      write(bytes) {
        if (socket.writable) socket.write(bytes);
        // Whoever asks and never reads the answers is not waited for.
        if (socket.writableLength > bounds.unreadBytes) socket.destroy();
      },
      end: () => void socket.end(),
    });
    socket.on('data', (chunk) => {
      idle.cancel();
      idle = whenIdle();
      connection.read(chunk);
    });
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(deps.port, deps.host, () => {
          server.off('error', reject);
          server.on('error', (err) => log.error({ err }, 'the CoAP server failed'));
          resolve({ port: (server.address() as AddressInfo).port });
        });
      }),
    setFiles(files) {
      server.setSecureContext(contextOf(files));
      revocations = createRevocations(files.lists);
      for (const [socket, chain] of open) if (revocations.revoked(chain)) socket.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open.keys()) socket.destroy();
      }),
    get connections() {
      return open.size;
    },
  };
}

const contextOf = ({ key, cert, ca }: TlsFiles) => ({ key, cert, ca, ...TLS });
