// One connection of a subscription: CONNECT, SUBSCRIBE, acknowledgements in their order, a sign of life, and now and then a message of our own (MQTT 5).
import { connect, type TLSSocket } from 'node:tls';
import { generate, type IConnackPacket, type IPubackPacket, type ISubackPacket, type Packet } from 'mqtt-packet';
import type { Clock, Log } from '../../../operator/kube/ports.ts';
import { createAcks } from './acks.ts';
import { createReader, type Publish } from './reader.ts';

export type LinkOptions = {
  host: string;
  port: number;
  /** The name that the broker's certificate must have. */
  servername: string;
  /** Read anew for each connection. PEM. */
  credentials(): { ca: string; cert: string; key: string };
  clientId: string;
  /** So many messages may be unacknowledged (§3.1.2.11.3). */
  receiveMaximum: number;
  maximumPacketBytes: number;
  sessionExpirySeconds: number;
  keepAliveSeconds: number;
  /** Throws nothing. Messages with QoS 0 need no answer. */
  receive(message: Publish): void;
  clock: Clock;
  log: Log;
};

const CONNECT_MS = 15_000;
const GRACE_MS = 2_000;
const V5 = { protocolVersion: 5 } as const;
/** §2.2.1: not 0. */
const PACKET_IDS = 0xffff;
/** Of our own; fewer where the broker says so (§3.2.2.3.3). */
const MOST_UNANSWERED = 1_000;

export type Outgoing = { topic: string; payload: Buffer /** From then on the broker delivers it to nobody. */; expirySeconds: number };

export type Link = {
  readonly isOpen: boolean;
  subscribe(filters: readonly string[]): void;
  unsubscribe(filters: readonly string[]): void;
  acknowledge(): void;
  /** QoS 1. The broker's code (§3.4.2.1); undefined when the connection ended before it came, or so many are under way that the broker takes no more (§4.9). */
  publish(message: Outgoing): Promise<number | undefined>;
  end(why: string): void;
  close(): Promise<void>;
};

export type LinkEvents = {
  opened(): void;
  /** These filters of a SUBSCRIBE were, the first with this code. */
  refused(code: number, filters: readonly string[]): void;
  granted(filters: readonly string[]): void;
  /** Once. */
  ended(why: string, refused?: number): void;
};

export function openLink(o: LinkOptions, events: LinkEvents): Link {
  const { clock } = o;
  const acks = createAcks();
  let [isOpen, isOver, flushing, heard, lastId, most] = [false, false, false, true, 0, MOST_UNANSWERED];
  const socket: TLSSocket = connect({ host: o.host, port: o.port, servername: o.servername, minVersion: 'TLSv1.2', ...o.credentials() });
  socket.setNoDelay(true);
  const late = clock.setTimer(CONNECT_MS, () => end('no answer to CONNECT'));
  let beat: { cancel(): void } | undefined;
  const asked = new Map<number, readonly string[]>();
  const unanswered = new Map<number, (code: number | undefined) => void>();

  function end(why: string, refused?: number): void {
    if (isOver) return;
    isOver = true;
    isOpen = false;
    late.cancel();
    beat?.cancel();
    socket.destroy();
    for (const answer of unanswered.values()) answer(undefined);
    unanswered.clear();
    events.ended(why, refused);
  }
  const send = (packet: Packet): void => void (isOver || socket.write(generate(packet, V5)));
  const nextId = (): number => {
    do lastId = (lastId % PACKET_IDS) + 1;
    while (unanswered.has(lastId));
    return lastId;
  };
  /** §3.1.2.10: a PINGREQ in the time, whatever else is sent; an answer, or anything, before the next. */
  function keepAlive(): void {
    if (!heard) {
      end('the broker says nothing any more');
      return;
    }
    heard = false;
    send({ cmd: 'pingreq' });
    beat = clock.setTimer((o.keepAliveSeconds * 1_000) / 2, keepAlive);
  }

  function connacked({ reasonCode = 0, sessionPresent, properties }: IConnackPacket): void {
    if (isOpen || reasonCode !== 0) {
      end(`the broker refused the connection with code ${reasonCode}`, reasonCode);
      return;
    }
    if (properties?.assignedClientIdentifier !== undefined) o.log.warn({}, 'the broker has given this client another identifier');
    late.cancel();
    isOpen = true;
    most = Math.min(MOST_UNANSWERED, properties?.receiveMaximum ?? MOST_UNANSWERED);
    o.log.info({ sessionPresent }, 'connected to the broker');
    keepAlive();
    events.opened();
  }
  function subacked({ messageId = 0, granted }: ISubackPacket): void {
    // Numbers in MQTT 5, one for each filter in its order (§3.9.3).
    const codes = granted as readonly number[];
    const filters = asked.get(messageId) ?? [];
    asked.delete(messageId);
    const isRefused = (_: string, at: number): boolean => (codes[at] ?? 0) >= 0x80;
    const refused = codes.find((code) => code >= 0x80);
    if (refused !== undefined) events.refused(refused, filters.filter(isRefused));
    events.granted(filters.filter((filter, at) => !isRefused(filter, at)));
  }

  function pubacked({ messageId = 0, reasonCode = 0 }: IPubackPacket): void {
    unanswered.get(messageId)?.(reasonCode);
    unanswered.delete(messageId);
  }

  const reader = createReader(o.maximumPacketBytes, {
    publish(message) {
      if (message.qos === 1) acks.came(message);
      if (acks.waiting > o.receiveMaximum) throw new Error('more messages than were asked for');
      o.receive(message);
    },
    other(packet) {
      switch (packet.cmd) {
        case 'connack':
          return connacked(packet);
        case 'suback':
          return subacked(packet);
        case 'puback':
          return pubacked(packet);
        case 'disconnect':
          return end(`the broker disconnected with code ${packet.reasonCode ?? 0}`, packet.reasonCode ?? 0);
        case 'pingresp':
        case 'unsuback':
          return;
        default:
          throw new Error(`a packet ${packet.cmd}, which no subscriber is sent`);
      }
    },
  });
  socket.on('secureConnect', () =>
    send({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clientId: o.clientId, clean: false, keepalive: o.keepAliveSeconds },
      properties: {
        sessionExpiryInterval: o.sessionExpirySeconds,
        receiveMaximum: o.receiveMaximum,
        maximumPacketSize: o.maximumPacketBytes,
      },
    }),
  );
  socket.on('data', (chunk: Buffer) => {
    heard = true;
    try {
      if (!isOver) reader.read(chunk);
    } catch (error) {
      end(error instanceof Error ? error.message : String(error));
    }
  });
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('the connection was closed'));

  /** All that became done in one turn go in one write. */
  function flush(): void {
    flushing = false;
    const bytes = isOpen ? acks.take() : undefined;
    if (bytes !== undefined) socket.write(bytes);
  }
  return {
    get isOpen() {
      return isOpen;
    },
    subscribe(filters) {
      // Retained messages were measured at another time: rh 2 asks for none (§3.8.3.1).
      const subscriptions = filters.map((topic) => ({ topic, qos: 1 as const, nl: false, rap: true, rh: 2 }));
      const messageId = nextId();
      asked.set(messageId, filters);
      send({ cmd: 'subscribe', messageId, subscriptions });
    },
    unsubscribe: (filters) => send({ cmd: 'unsubscribe', messageId: nextId(), unsubscriptions: [...filters] }),
    acknowledge() {
      if (flushing) return;
      flushing = true;
      queueMicrotask(flush);
    },
    publish({ topic, payload, expirySeconds }) {
      if (!isOpen || unanswered.size >= most) return Promise.resolve(undefined);
      const messageId = nextId();
      const properties = { messageExpiryInterval: expirySeconds };
      send({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false, messageId, properties });
      return new Promise((resolve) => unanswered.set(messageId, resolve));
    },
    end,
    async close() {
      if (isOpen) {
        flush();
        send({ cmd: 'disconnect', reasonCode: 0 });
        await new Promise<void>((resolve) => {
          const grace = clock.setTimer(GRACE_MS, resolve);
          socket.end(() => {
            grace.cancel();
            resolve();
          });
        });
      }
      end('stopped');
    },
  };
}
