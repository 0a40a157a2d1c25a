// One connection on which the gateway publishes: MQTT 5 over mutual TLS, QoS 1. It remembers nothing: what was not acknowledged when it ends is the spool's.
import { isIP } from 'node:net';
import { checkServerIdentity, connect } from 'node:tls';
import { generate, type IConnackPacket, type Packet, parser } from 'mqtt-packet';
import type { Clock } from '../../../operator/runtime/clock.ts';

export type ChannelOptions = {
  host: string;
  port: number;
  credentials: { ca: string; cert: string; key: string; name: string };
  clock: Pick<Clock, 'elapsed' | 'setTimer'>;
  /** The reason code of the broker for the message of this number: 0 when somebody has it, 16 when nobody listens (MQTT 5, 3.4.2.1). */
  acknowledged(id: number, code: number): void;
};

export type Channel = {
  /** Messages that may be unacknowledged, as the broker says. */
  most: number;
  /** Bytes of the largest packet that the broker takes. */
  mostBytes: number;
  publish(id: number, topic: string, payload: string): void;
  /** Resolves with why, when the connection is over. Never rejects. */
  ended: Promise<string>;
  close(): void;
};

/** Why the broker does not take the connection; its reason code (MQTT 5, 3.2.2.2). */
export class ConnectRefused extends Error {
  override readonly name = 'ConnectRefused';
  readonly code: number;
  constructor(code: number) {
    super(`the broker refused the connection with code 0x${code.toString(16)}`);
    this.code = code;
  }
}

const V5 = { protocolVersion: 5 } as const;
const CONNECT_MS = 15_000;
const KEEPALIVE_SECONDS = 30;
/** What a gateway has to hear is small. */
const MOST_HEARD = 4_096;
/** MQTT 5, 3.2.2.3.3, and 2.1.4 for the largest packet that there can be. */
const [MOST_UNSAID, LARGEST] = [0xffff, 268_435_460];

/** Rejects with a sentence when no connection comes about, with `ConnectRefused` when the broker does not want it. */
export async function openChannel(o: ChannelOptions): Promise<Channel> {
  const { host, port, clock } = o;
  const { ca, cert, key, name } = o.credentials;
  const socket = connect({
    ...{ host, port, ca, cert, key, minVersion: 'TLSv1.2' },
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // Node asks for the name of `servername` alone; an address has to be in the certificate too.
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
  socket.setNoDelay(true);
  const ended = Promise.withResolvers<string>();
  const opened = Promise.withResolvers<IConnackPacket>();
  let isOver = false;
  let heardAt = clock.elapsed();
  let beat = { cancel: (): void => undefined };
  const late = clock.setTimer(CONNECT_MS, () => end('no answer to CONNECT'));

  function end(why: string): void {
    if (isOver) return;
    isOver = true;
    late.cancel();
    beat.cancel();
    socket.destroy();
    opened.reject(new Error(why));
    ended.resolve(why);
  }
  const send = (packet: Packet): void => void (isOver || socket.write(generate(packet, V5)));
  function took(packet: Packet): void {
    heardAt = clock.elapsed();
    if (packet.cmd === 'puback') o.acknowledged(packet.messageId ?? 0, packet.reasonCode ?? 0);
    else if (packet.cmd === 'connack') opened.resolve(packet);
    else if (packet.cmd === 'disconnect') end(`the broker ended the connection with code 0x${(packet.reasonCode ?? 0).toString(16)}`);
    else if (packet.cmd !== 'pingresp') end(`a packet ${packet.cmd}, which no publisher is sent`);
  }
  /** A connection that is dead says nothing: two pings without an answer end it. */
  function keepAlive(seconds: number): void {
    beat = clock.setTimer(seconds * 500, () => {
      if (clock.elapsed() - heardAt > seconds * 1_000) return end('the broker says nothing any more');
      send({ cmd: 'pingreq' });
      keepAlive(seconds);
    });
  }

  const packets = parser(V5);
  packets.on('packet', took);
  packets.on('error', () => end('the broker sent something that is no MQTT 5'));
  socket.on('data', (chunk: Buffer) => void (isOver || packets.parse(chunk)));
  socket.on('error', (error: Error & { code?: string }) => end(error.code ?? error.message));
  socket.on('close', () => end('the connection was closed'));
  socket.once('secureConnect', () =>
    send({
      ...{ cmd: 'connect', protocolId: 'MQTT', ...V5, clientId: name, clean: true, keepalive: KEEPALIVE_SECONDS },
      properties: { maximumPacketSize: MOST_HEARD },
    }),
  );
  const { reasonCode = 0, properties = {} } = await opened.promise;
  if (reasonCode !== 0) {
    end('refused');
    throw new ConnectRefused(reasonCode);
  }
  late.cancel();
  keepAlive(properties.serverKeepAlive ?? KEEPALIVE_SECONDS);
  return {
    most: properties.receiveMaximum ?? MOST_UNSAID,
    mostBytes: properties.maximumPacketSize ?? LARGEST,
    publish: (id, topic, payload) => send({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false, messageId: id }),
    ended: ended.promise,
    close() {
      send({ cmd: 'disconnect', reasonCode: 0 });
      socket.end();
      end('the gateway has left');
    },
  };
}
