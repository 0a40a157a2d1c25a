/** A client that sends exactly the packets it is told to and does nothing by itself: no pings, no acknowledgements. */

import { once } from 'node:events';
import tls from 'node:tls';
import mqttPacket, { type IConnectPacket, type Packet } from 'mqtt-packet';
import type { BrokerAddress } from './device.ts';
import type { Identity } from './pki.ts';

const DEADLINE_MS = 30_000;

export class RawClient {
  readonly packets: Packet[] = [];
  closed = false;
  readonly #socket: tls.TLSSocket;
  readonly #protocolVersion: 4 | 5;
  #read = 0;

  constructor(socket: tls.TLSSocket, protocolVersion: 4 | 5) {
    this.#socket = socket;
    this.#protocolVersion = protocolVersion;
    const parser = mqttPacket.parser({ protocolVersion });
    parser.on('packet', (packet) => {
      this.packets.push(packet);
      socket.emit('packet');
    });
    socket.on('data', (chunk) => parser.parse(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.closed = true;
      socket.emit('packet');
    });
  }

  send(...packets: Packet[]): void {
    for (const packet of packets) this.#socket.write(mqttPacket.generate(packet, { protocolVersion: this.#protocolVersion }));
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** The next packet, in the order they come; undefined when the connection ended instead. */
  async next(): Promise<Packet | undefined> {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    while (this.packets.length <= this.#read && !this.closed) await once(this.#socket, 'packet', { signal });
    return this.packets[this.#read++];
  }

  drop(): void {
    this.#socket.destroy();
  }
}

/** Connected by TLS; with `connect`, also by MQTT, and its CONNACK read. */
export async function openRaw(
  { host, port, caPem }: BrokerAddress,
  identity: Identity,
  connect?: Partial<IConnectPacket> & { protocolVersion?: 4 | 5 },
): Promise<RawClient> {
  const socket = tls.connect({ host, port, servername: 'localhost', ca: caPem, cert: identity.certPem, key: identity.keyPem });
  await once(socket, 'secureConnect');
  const client = new RawClient(socket, connect?.protocolVersion ?? 5);
  if (connect === undefined) return client;
  client.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true, clientId: 'raw', keepalive: 60, ...connect });
  const connack = await client.next();
  if (connack?.cmd !== 'connack') throw new Error(`no CONNACK but ${connack?.cmd}`);
  return client;
}
