/** The MQTT ports: TLS with client certificates (`ssl:default`), and the plain port that is off unless somebody opens it. */

import { constants } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import type { Broker } from './broker.ts';
import type { BootFiles, Listener, SslOptions } from './config.ts';
import { ETC_DIR } from './config-defaults.ts';
import { Connection } from './connection.ts';
import type { CrlCache } from './crl.ts';
import type { Peer } from './identity.ts';
import { readPeer } from './subject.ts';

export class Listeners {
  readonly #broker: Broker;
  readonly #files: BootFiles;
  readonly #servers = new Map<string, net.Server>();
  readonly #sockets = new Map<string, Set<net.Socket>>();
  #crls: Promise<CrlCache> | undefined;

  constructor(broker: Broker, files: BootFiles) {
    this.#broker = broker;
    this.#files = files;
  }

  running(id: string): boolean {
    return this.#servers.get(id)?.listening ?? false;
  }

  connections(id: string): number {
    return this.#sockets.get(id)?.size ?? 0;
  }

  port(id: string): number {
    const address = this.#servers.get(id)?.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  /** Opens the port unless it is open; rejects when the address is taken or a certificate file is bad. */
  async start(id: string): Promise<void> {
    const listener = this.#listener(id);
    if (this.#servers.has(id)) return;
    const server = this.#server(id, listener);
    const { host, port } = parseBind(listener.bind);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, backlog: 1024 }, resolve);
    });
    this.#servers.set(id, server);
  }

  /** Closes the port and every connection on it, without DISCONNECT. */
  async stop(id: string): Promise<void> {
    const server = this.#servers.get(id);
    if (!server) return;
    this.#servers.delete(id);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets.get(id) ?? []) socket.destroy();
    await closed;
  }

  /** New TLS settings reach new handshakes only; a changed address moves the port. */
  async apply(id: string, before: Listener | undefined): Promise<void> {
    const listener = this.#listener(id);
    const server = this.#servers.get(id);
    if (!listener.enable) return this.stop(id);
    if (!server || listener.bind !== before?.bind) {
      await this.stop(id);
      return this.start(id);
    }
    if (server instanceof tls.Server && listener.ssl_options) {
      const options = secureOptions(listener, this.#files);
      server.setSecureContext(options);
      // Read by Node at every new connection.
      Object.assign(server, { requestCert: options.requestCert, rejectUnauthorized: options.rejectUnauthorized });
    }
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((id) => this.stop(id)));
  }

  #listener(id: string): Listener {
    const listener = this.#broker.config.listeners[id];
    if (!listener) throw new Error(`no listener ${id}`);
    return listener;
  }

  #server(id: string, listener: Listener): net.Server {
    if (listener.type === 'ssl') return this.#tlsServer(id, listener);
    if (listener.type === 'tcp') return net.createServer((socket) => this.#accept(id, socket, peerOf(socket)));
    // WebSockets are not spoken here: the port is open, as a posture check must find it, and closes on whoever comes.
    return net.createServer((socket) => socket.destroy());
  }

  #tlsServer(id: string, listener: Listener): net.Server {
    const server = tls.createServer(secureOptions(listener, this.#files), (socket) => {
      const raw = socket.getPeerX509Certificate()?.raw;
      const certificate = raw && readPeer(raw);
      if (raw && !certificate) {
        socket.destroy();
        return;
      }
      const peer: Peer = {
        ...peerOf(socket),
        ...(certificate ? { certificate } : {}),
        ...(socket.servername ? { sni: String(socket.servername) } : {}),
      };
      const { ssl_options } = this.#listener(id);
      if (raw && ssl_options?.enable_crl_check) void this.#acceptUnrevoked(id, socket, peer, raw, ssl_options);
      else this.#accept(id, socket, peer);
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }

  /** A TLS 1.3 client has finished its handshake before its certificate is judged: here it sees a plain close where EMQX adds an alert. */
  async #acceptUnrevoked(id: string, socket: net.Socket, peer: Peer, raw: Buffer, options: SslOptions): Promise<void> {
    socket.on('error', () => socket.destroy());
    // Loaded when first needed: reading X.509 structures would cost every start half of its time.
    this.#crls ??= import('./crl.ts').then(({ CrlCache }) => new CrlCache(() => this.#broker.config.crl_cache));
    const crls = await this.#crls;
    const verdict = await crls.check(raw, pem(options.cacertfile, this.#files.ca));
    if (verdict === 'good' && !socket.destroyed) this.#accept(id, socket, peer);
    else socket.destroy();
  }

  #accept(id: string, socket: net.Socket, peer: Peer): void {
    const sockets = this.#sockets.get(id) ?? new Set();
    this.#sockets.set(id, sockets);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    new Connection(this.#broker, socket, peer, id);
  }
}

export function parseBind(bind: string): { host: string; port: number } {
  const at = bind.lastIndexOf(':');
  return { host: bind.slice(0, Math.max(at, 0)) || '0.0.0.0', port: Number(bind.slice(at + 1)) };
}

function peerOf(socket: net.Socket): Peer {
  return { host: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''), port: socket.remotePort ?? 0 };
}

function secureOptions(listener: Listener, files: BootFiles): tls.TlsOptions {
  const options = listener.ssl_options;
  if (!options) throw new Error('listener without ssl_options');
  const verify = options.verify === 'verify_peer';
  const versions = options.versions.filter((version): version is 'tlsv1.3' | 'tlsv1.2' | 'tlsv1.1' => version in VERSION);
  return {
    ca: pem(options.cacertfile, files.ca),
    cert: pem(options.certfile, files.cert),
    key: pem(options.keyfile, files.key),
    requestCert: verify,
    rejectUnauthorized: verify && options.fail_if_no_peer_cert,
    minVersion: versions.includes('tlsv1.2') ? 'TLSv1.2' : 'TLSv1.3',
    maxVersion: versions.includes('tlsv1.3') ? 'TLSv1.3' : 'TLSv1.2',
    // No tickets: EMQX 5.8 gives none on TLS 1.3, and a resumed session would hide the certificate check.
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: 15_000,
  };
}

const VERSION: Record<string, true> = { 'tlsv1.3': true, 'tlsv1.2': true };

/** A path or the PEM text itself, as EMQX accepts both. */
function pem(value: string, shipped: string): string {
  if (value.includes('-----BEGIN')) return value;
  // What EMQX ships there is a certificate for the whole world; here it is the one that the stand-in was given.
  return readFileSync(value.startsWith(SHIPPED_CERTIFICATES) ? shipped : value, 'utf8');
}

const SHIPPED_CERTIFICATES = `${ETC_DIR}/certs/`;
