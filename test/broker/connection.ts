/** One MQTT connection: packets in, packets out (MQTT 3.1.1 and 5), with EMQX 5.8's answers, and its end. */

import type { Socket } from 'node:net';
import mqttPacket, { type IDisconnectPacket, type IPublishPacket, type Packet } from 'mqtt-packet';
import type { Access } from './acl-rule.ts';
import { AccessCache } from './authorizer.ts';
import type { Broker } from './broker.ts';
import { bytes, durationMs } from './config.ts';
import { handleConnect } from './connecting.ts';
import type { Peer } from './identity.ts';
import { acknowledgeReceived, handlePublish, releaseReceived } from './publishing.ts';
import { type ClientRecord, type Message, newTraffic, type Session } from './session.ts';
import { handleSubscribe, handleUnsubscribe } from './subscribing.ts';
import { publishWill, type Will } from './will.ts';

export const NOT_AUTHORIZED = 0x87;
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
const CLOSE_WITHIN_MS = 2_000;

export class Connection {
  readonly broker: Broker;
  readonly peer: Peer;
  readonly listener: string;
  readonly cache = new AccessCache();
  readonly stats = newTraffic();
  /** Topic aliases the client set (MQTT5 §3.3.2.3.4). */
  readonly aliases = new Map<number, string>();
  protocol: 3 | 4 | 5 = 4;
  receiveMaximum = 32;
  maxOutgoingBytes = Number.POSITIVE_INFINITY;
  will: Will | undefined;
  client: ClientRecord | undefined;
  session: Session | undefined;
  readonly #socket: Socket;
  readonly #parser = mqttPacket.parser();
  #lastSeen = Date.now();
  #ended = false;

  constructor(broker: Broker, socket: Socket, peer: Peer, listener: string) {
    this.broker = broker;
    this.peer = peer;
    this.listener = listener;
    this.#socket = socket;
    broker.connections.add(this);
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('close', () => this.#end(listener.startsWith('ssl:') ? 'ssl_closed' : 'tcp_closed'));
    socket.on('error', () => socket.destroy());
    this.#parser.on('packet', (packet) => this.#onPacket(packet));
    this.#parser.on('error', () => this.fail(0x81));
  }

  /** False when the client takes no packet of this size (MQTT5 §3.1.2.11.4): it counts as delivered. */
  send(packet: Packet): boolean {
    if (this.#ended || this.#socket.destroyed) return true;
    const encoded = mqttPacket.generate(packet, { protocolVersion: this.protocol });
    if (encoded.length > this.maxOutgoingBytes) return false;
    this.stats.send_pkt++;
    this.stats.send_oct += encoded.length;
    this.#socket.write(encoded);
    return true;
  }

  deliver(message: Message, how: { qos: 0 | 1 | 2; retain: boolean; subscriptionId?: number; packetId?: number; dup?: boolean }): boolean {
    if (how.qos === 0 && this.#socket.writableLength > MAX_UNSENT_BYTES) return false;
    const { topic, payload } = message;
    const packet: IPublishPacket = { cmd: 'publish', topic, payload, qos: how.qos, retain: how.retain, dup: how.dup ?? false };
    if (how.packetId !== undefined) packet.messageId = how.packetId;
    if (this.protocol === 5) {
      const properties: NonNullable<IPublishPacket['properties']> = { ...message.properties };
      if (how.subscriptionId !== undefined) properties.subscriptionIdentifier = how.subscriptionId;
      if (message.expiresAt !== undefined)
        properties.messageExpiryInterval = Math.max(0, Math.ceil((message.expiresAt - Date.now()) / 1000));
      packet.properties = properties;
    }
    this.stats.send_msg++;
    this.stats.send_qos[how.qos]++;
    return this.send(packet);
  }

  /** `closed`: the check itself cost the connection its life (too many rules). */
  authorize(access: Access): boolean | 'closed' {
    const { client } = this;
    if (!client) return false;
    const decision = this.broker.authorizer.check(client, access, this.cache);
    this.broker.onEvent?.({
      event: 'client.check_authz_complete',
      ...eventOf(client),
      peerhost: client.peerhost,
      action: access.action,
      topic: access.topic,
      result: decision.permission,
      authz_source: decision.source,
    });
    if (!decision.cut) return decision.permission === 'allow';
    this.crash();
    return 'closed';
  }

  /** A second CONNECT with the same client id (MQTT-3.1.4-3): 0x8E; the old connection's will is published. */
  takenOver(): void {
    this.#disconnect(0x8e, 'takenover');
  }

  kicked({ will }: { will: boolean }): void {
    if (!will) this.will = undefined;
    this.#disconnect(0x98, 'kicked');
  }

  fail(reasonCode: number): void {
    this.#disconnect(reasonCode, 'protocol_error');
  }

  /** The connection's process dies: a close without DISCONNECT. */
  crash(): void {
    this.#socket.destroy();
  }

  /** The broker goes down: no will, no word. */
  destroy(): void {
    this.will = undefined;
    this.#end('shutdown');
    this.#socket.destroy();
  }

  /** Ends with what was sent last, a refusing CONNACK. */
  refused(): void {
    this.#end('refused');
    this.#closeSocket();
  }

  checkKeepalive(now: number): void {
    const idle = now - this.#lastSeen;
    const { idle_timeout, keepalive_multiplier } = this.broker.config.global_zone.mqtt;
    if (!this.client) {
      if (idle > (durationMs(idle_timeout) ?? 15_000)) this.#socket.destroy();
      return;
    }
    const allowed = this.client.keepalive * 1000 * keepalive_multiplier;
    if (allowed > 0 && idle > allowed) this.#disconnect(0x8d, 'keepalive_timeout');
  }

  get maxPacketBytes(): number {
    return bytes(this.broker.config.global_zone.mqtt.max_packet_size);
  }

  #onData(chunk: Buffer): void {
    this.#lastSeen = Date.now();
    this.stats.recv_oct += chunk.length;
    try {
      this.#parser.parse(chunk);
    } catch {
      this.fail(0x81);
      return;
    }
    // The parser keeps what is not a whole packet yet; nobody may grow that beyond the packet limit.
    const kept = (this.#parser as unknown as { _list: { length: number } })._list.length;
    if (kept > this.maxPacketBytes + 5) this.fail(0x95);
  }

  #onPacket(packet: Packet): void {
    if (this.#ended) return;
    this.stats.recv_pkt++;
    const { session } = this;
    if ((packet.length ?? 0) > this.maxPacketBytes) this.fail(0x95);
    else if (packet.cmd === 'connect' && !this.client) handleConnect(this, packet);
    else if (session && packet.cmd !== 'connect') this.#onSessionPacket(packet, session);
    else this.fail(0x82);
  }

  #onSessionPacket(packet: Packet, session: Session): void {
    const messageId = 'messageId' in packet ? (packet.messageId ?? 0) : 0;
    switch (packet.cmd) {
      case 'publish':
        handlePublish(this, packet, session);
        break;
      case 'subscribe':
        handleSubscribe(this, packet, session);
        break;
      case 'unsubscribe':
        handleUnsubscribe(this, packet, session);
        break;
      case 'puback':
      case 'pubcomp':
        session.onPuback(messageId);
        break;
      case 'pubrec':
        acknowledgeReceived(this, packet, session);
        break;
      case 'pubrel':
        releaseReceived(this, messageId, session);
        break;
      case 'pingreq':
        this.send({ cmd: 'pingresp' });
        break;
      case 'disconnect':
        this.#onDisconnect(packet, session);
        break;
      default:
        this.fail(0x82);
    }
  }

  #onDisconnect(packet: IDisconnectPacket, session: Session): void {
    if (packet.reasonCode !== 0x04) this.will = undefined; // MQTT5 §3.14.2.1: 0x04 keeps the will
    const expiry = packet.properties?.sessionExpiryInterval;
    if (expiry !== undefined && session.expirySeconds > 0) session.expirySeconds = expiry;
    this.#end('normal');
    this.#closeSocket();
  }

  /** The broker ends the connection: DISCONNECT with the reason on MQTT 5, a plain close on 3.1.1. */
  #disconnect(reasonCode: number, reason: string): void {
    if (this.#ended) return;
    if (this.protocol === 5 && this.client) this.send({ cmd: 'disconnect', reasonCode });
    this.#end(reason);
    this.#closeSocket();
  }

  #closeSocket(): void {
    this.#socket.end();
    // A peer that does not close its side must not keep the socket.
    setTimeout(() => this.#socket.destroy(), CLOSE_WITHIN_MS).unref();
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.broker.connections.delete(this);
    const { client, session } = this;
    if (!client || !session) return;
    this.broker.detach(session, this);
    publishWill(this, client, session);
    this.broker.countFlap(client.clientid);
    this.broker.count('client.disconnected');
    this.broker.onEvent?.({ event: 'client.disconnected', ...eventOf(client), ...disconnectedEvent(this, client, reason) });
  }
}

function disconnectedEvent({ broker }: Connection, client: ClientRecord, reason: string): Record<string, unknown> {
  return {
    connected_at: client.connectedAt,
    disconn_props: { 'User-Property': {} },
    disconnected_at: Date.now(),
    proto_name: 'MQTT',
    proto_ver: client.protocol,
    reason,
    sockname: broker.config.listeners[client.listener]?.bind,
  };
}

/** What every event tells about its client. */
export function eventOf(client: ClientRecord): Record<string, unknown> {
  const { clientid, username, attrs, peerhost, port } = client;
  return { clientid, username, client_attrs: attrs, peername: `${peerhost}:${port}`, timestamp: Date.now() };
}
