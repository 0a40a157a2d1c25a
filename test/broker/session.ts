/** An MQTT session: subscriptions, queue, messages in flight. It outlives its connection for `expirySeconds` (MQTT5 §4.1). */

import type { IPublishPacket } from 'mqtt-packet';
import type { AclClient } from './acl-rule.ts';
import type { Connection } from './connection.ts';
import type { Subscriber } from './topic-tree.ts';

export type Message = {
  id: string;
  topic: string;
  payload: Buffer;
  qos: 0 | 1 | 2;
  retain: boolean;
  from: string;
  fromUsername: string;
  publishedAt: number;
  expiresAt?: number;
  properties?: NonNullable<IPublishPacket['properties']>;
};

type Delivery = { message: Message; qos: 0 | 1 | 2; retain: boolean; subscriptionId?: number };
type Inflight = { delivery: Delivery; released: boolean };

/** Everything about the client that outlives the connection and that GET /clients shows. */
export type ClientRecord = AclClient & {
  protocol: 3 | 4 | 5;
  cleanStart: boolean;
  keepalive: number;
  listener: string;
  port: number;
  peersni?: string;
  connectedAt: number;
  disconnectedAt?: number;
  isBridge: boolean;
};

/** Counted by the connection; the last one's figures stay with the session. */
export type Traffic = {
  recv_pkt: number;
  send_pkt: number;
  recv_msg: number;
  send_msg: number;
  recv_oct: number;
  send_oct: number;
  recv_qos: [number, number, number];
  send_qos: [number, number, number];
};

export function newTraffic(): Traffic {
  return { recv_pkt: 0, send_pkt: 0, recv_msg: 0, send_msg: 0, recv_oct: 0, send_oct: 0, recv_qos: [0, 0, 0], send_qos: [0, 0, 0] };
}

export class Session {
  readonly id: string;
  readonly createdAt = Date.now();
  client: ClientRecord;
  expirySeconds: number;
  connection: Connection | undefined;
  readonly subscriptions = new Map<string, Subscriber>();
  readonly awaitingRelease = new Set<number>();
  readonly #queue: Delivery[] = [];
  readonly #inflight = new Map<number, Inflight>();
  readonly #limits: { queue: number; storeQos0: boolean };
  #packetId = 0;
  dropped = 0;
  stats = newTraffic();

  constructor(id: string, client: ClientRecord, expirySeconds: number, limits: { queue: number; storeQos0: boolean }) {
    this.id = id;
    this.client = client;
    this.expirySeconds = expirySeconds;
    this.#limits = limits;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get inflight(): number {
    return this.#inflight.size;
  }

  /** Sends, or keeps for later; messages above the queue's limit drop the oldest (EMQX mqueue). */
  deliver(message: Message, subscriber: Subscriber, retained = false): void {
    if (subscriber.options.nl && message.from === this.id) return;
    const qos = Math.min(message.qos, subscriber.options.qos) as 0 | 1 | 2;
    const delivery: Delivery = { message, qos, retain: retained || (subscriber.options.rap && message.retain) };
    if (subscriber.options.id !== undefined) delivery.subscriptionId = subscriber.options.id;
    if (this.connection && (qos === 0 || this.#hasRoom())) this.#send(delivery);
    else this.#enqueue(delivery);
  }

  /** A new connection took over: what was in flight is sent again, then the queue (MQTT-4.4.0-1). */
  resume(): void {
    for (const [packetId, { delivery, released }] of this.#inflight) {
      if (released) this.connection?.send({ cmd: 'pubrel', messageId: packetId });
      else this.connection?.deliver(delivery.message, { ...delivery, packetId, dup: true });
    }
    this.#drain();
  }

  /** PUBACK, or PUBCOMP at the end of QoS 2. */
  onPuback(packetId: number): void {
    this.#inflight.delete(packetId);
    this.#drain();
  }

  /** True when the id is known: PUBREL follows, else PUBREL with 0x92. */
  onPubrec(packetId: number, failed: boolean): boolean {
    const entry = this.#inflight.get(packetId);
    if (!entry) return false;
    if (failed) this.onPuback(packetId);
    else entry.released = true;
    return true;
  }

  #hasRoom(): boolean {
    return this.#inflight.size < (this.connection?.receiveMaximum ?? 0);
  }

  #enqueue(delivery: Delivery): void {
    if (delivery.qos === 0 && !this.#limits.storeQos0) {
      this.dropped++;
      return;
    }
    if (this.#queue.length >= this.#limits.queue) {
      this.#queue.shift();
      this.dropped++;
    }
    this.#queue.push(delivery);
  }

  #drain(): void {
    while (this.connection && this.#queue[0] && (this.#queue[0].qos === 0 || this.#hasRoom())) {
      const delivery = this.#queue.shift();
      if (delivery && (delivery.message.expiresAt ?? Number.POSITIVE_INFINITY) > Date.now()) this.#send(delivery);
    }
  }

  #send(delivery: Delivery): void {
    if (delivery.qos === 0) {
      this.connection?.deliver(delivery.message, delivery);
      return;
    }
    const packetId = this.#nextPacketId();
    this.#inflight.set(packetId, { delivery, released: false });
    if (this.connection?.deliver(delivery.message, { ...delivery, packetId }) !== false) return;
    this.#inflight.delete(packetId);
    this.dropped++;
  }

  #nextPacketId(): number {
    do this.#packetId = (this.#packetId % 65535) + 1;
    while (this.#inflight.has(this.#packetId));
    return this.#packetId;
  }
}
