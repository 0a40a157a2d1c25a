/** One MQTT connection: packets in, packets out (MQTT 3.1.1 and 5), with EMQX 5.8's answers. */

import type { Socket } from 'node:net';
import mqttPacket, {
  type IConnectPacket,
  type IDisconnectPacket,
  type IPublishPacket,
  type ISubscribePacket,
  type IUnsubscribePacket,
  type Packet,
} from 'mqtt-packet';
import type { Access } from './acl-rule.ts';
import { AccessCache } from './authorizer.ts';
import type { Broker } from './broker.ts';
import { bytes, durationMs } from './config.ts';
import { identify, type Peer } from './identity.ts';
import { type ClientRecord, type Message, newTraffic, type Session } from './session.ts';
import { isTopicName, parseDelayed, parseSubscription, type Subscription } from './topic.ts';
import type { SubscriptionOptions } from './topic-tree.ts';

const NOT_AUTHORIZED = 0x87;
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;

type Will = { message: Message; delaySeconds: number };

export class Connection {
  readonly #broker: Broker;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #listener: string;
  readonly #parser = mqttPacket.parser();
  readonly cache = new AccessCache();
  readonly stats = newTraffic();
  receiveMaximum = 32;
  client: ClientRecord | undefined;
  session: Session | undefined;
  #protocol: 3 | 4 | 5 = 4;
  #maxOutgoing = Number.POSITIVE_INFINITY;
  readonly #aliases = new Map<number, string>();
  #will: Will | undefined;
  #lastSeen = Date.now();
  #ended = false;

  constructor(broker: Broker, socket: Socket, peer: Peer, listener: string) {
    this.#broker = broker;
    this.#socket = socket;
    this.#peer = peer;
    this.#listener = listener;
    broker.connections.add(this);
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('close', () => this.#ended || this.#end('normal'));
    socket.on('error', () => socket.destroy());
    this.#parser.on('packet', (packet) => this.#onPacket(packet));
    this.#parser.on('error', () => this.#fail(0x81));
  }

  get live(): boolean {
    return !this.#ended;
  }

  send(packet: Packet): void {
    if (this.#ended || this.#socket.destroyed) return;
    const encoded = mqttPacket.generate(packet, { protocolVersion: this.#protocol });
    if (encoded.length > this.#maxOutgoing) return;
    this.stats.send_pkt++;
    this.stats.send_oct += encoded.length;
    this.#socket.write(encoded);
  }

  deliver(message: Message, how: { qos: 0 | 1 | 2; retain: boolean; subscriptionId?: number; packetId?: number; dup?: boolean }): void {
    if (how.qos === 0 && this.#socket.writableLength > MAX_UNSENT_BYTES) return;
    const packet: IPublishPacket = {
      cmd: 'publish',
      topic: message.topic,
      payload: message.payload,
      qos: how.qos,
      retain: how.retain,
      dup: how.dup ?? false,
    };
    if (how.packetId !== undefined) packet.messageId = how.packetId;
    if (this.#protocol === 5) {
      const properties: NonNullable<IPublishPacket['properties']> = { ...message.properties };
      if (how.subscriptionId !== undefined) properties.subscriptionIdentifier = how.subscriptionId;
      if (message.expiresAt !== undefined)
        properties.messageExpiryInterval = Math.max(0, Math.ceil((message.expiresAt - Date.now()) / 1000));
      packet.properties = properties;
    }
    this.stats.send_msg++;
    this.stats.send_qos[how.qos]++;
    this.send(packet);
  }

  /** A second CONNECT with the same client id (MQTT-3.1.4-3): 0x8E; the old connection's will is published. */
  takenOver(): void {
    this.#disconnect(0x8e, 'takenover');
  }

  kicked({ will }: { will: boolean }): void {
    if (!will) this.#will = undefined;
    this.#disconnect(0x98, 'kicked');
  }

  destroy(): void {
    this.#will = undefined;
    this.#end('shutdown');
    this.#socket.destroy();
  }

  checkKeepalive(now: number): void {
    const idle = now - this.#lastSeen;
    if (!this.client) {
      if (idle > (durationMs(this.#broker.config.global_zone.mqtt.idle_timeout) ?? 15_000)) this.#socket.destroy();
      return;
    }
    const allowed = this.client.keepalive * 1000 * this.#broker.config.global_zone.mqtt.keepalive_multiplier;
    if (allowed > 0 && idle > allowed) this.#disconnect(0x8d, 'keepalive_timeout');
  }

  #onData(chunk: Buffer): void {
    this.#lastSeen = Date.now();
    this.stats.recv_oct += chunk.length;
    try {
      this.#parser.parse(chunk);
    } catch {
      this.#fail(0x81);
      return;
    }
    // The parser keeps what is not a whole packet yet; nobody may grow that beyond the packet limit.
    const kept = (this.#parser as unknown as { _list: { length: number } })._list.length;
    if (kept > this.#maxPacketBytes() + 5) this.#fail(0x95);
  }

  #maxPacketBytes(): number {
    return bytes(this.#broker.config.global_zone.mqtt.max_packet_size);
  }

  #onPacket(packet: Packet): void {
    if (this.#ended) return;
    this.stats.recv_pkt++;
    if ((packet.length ?? 0) > this.#maxPacketBytes()) return this.#fail(0x95);
    if (packet.cmd === 'connect') return this.client ? this.#fail(0x82) : this.#onConnect(packet);
    const session = this.session;
    if (!session) return this.#fail(0x82);
    switch (packet.cmd) {
      case 'publish':
        return this.#onPublish(packet, session);
      case 'subscribe':
        return this.#onSubscribe(packet, session);
      case 'unsubscribe':
        return this.#onUnsubscribe(packet, session);
      case 'puback':
        return session.onPuback(packet.messageId ?? 0);
      case 'pubrec':
        return this.#onPubrec(packet.messageId ?? 0, (packet.reasonCode ?? 0) >= 0x80, session);
      case 'pubrel':
        session.awaitingRelease.delete(packet.messageId ?? 0);
        return this.send({ cmd: 'pubcomp', messageId: packet.messageId ?? 0, reasonCode: 0 });
      case 'pubcomp':
        return session.onPubcomp(packet.messageId ?? 0);
      case 'pingreq':
        return this.send({ cmd: 'pingresp' });
      case 'disconnect':
        return this.#onDisconnect(packet, session);
      default:
        return this.#fail(0x82);
    }
  }

  #onConnect(packet: IConnectPacket): void {
    this.#protocol = (packet.protocolVersion ?? 4) as 3 | 4 | 5;
    const { mqtt } = this.#broker.config.global_zone;
    const identity = identify(mqtt, packet, this.#peer);
    const client: ClientRecord = {
      ...identity.client,
      protocol: this.#protocol,
      cleanStart: packet.clean ?? true,
      keepalive: packet.keepalive ?? 0,
      listener: this.#listener,
      port: this.#peer.port,
      connectedAt: Date.now(),
      isBridge: false,
    };
    if (this.#peer.sni !== undefined) client.peersni = this.#peer.sni;
    if (this.#broker.banned(client)) return this.#refuse(this.#protocol === 5 ? 0x8a : 5);
    this.receiveMaximum = Math.min(packet.properties?.receiveMaximum ?? 65535, mqtt.max_inflight);
    this.#maxOutgoing = packet.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
    this.client = client;
    this.#will = this.#readWill(packet, client);
    const { session, present } = this.#broker.openSession(client, this, sessionExpiry(packet, durationMs(mqtt.session_expiry_interval)));
    this.session = session;
    this.#connack(packet, present, identity.assigned);
    session.resume();
    this.#broker.count('client.connected');
    this.#broker.onEvent?.({ event: 'client.connected', ...eventOf(client), connected_at: client.connectedAt });
  }

  #refuse(code: number): void {
    this.send(
      this.#protocol === 5
        ? { cmd: 'connack', sessionPresent: false, reasonCode: code }
        : { cmd: 'connack', sessionPresent: false, returnCode: code },
    );
    this.#end('refused');
    this.#socket.end();
  }

  #connack(packet: IConnectPacket, sessionPresent: boolean, assigned: string | undefined): void {
    if (this.#protocol !== 5) return this.send({ cmd: 'connack', sessionPresent, returnCode: 0 });
    const { mqtt } = this.#broker.config.global_zone;
    this.send({
      cmd: 'connack',
      sessionPresent,
      reasonCode: 0,
      properties: {
        maximumPacketSize: this.#maxPacketBytes(),
        receiveMaximum: mqtt.max_inflight,
        retainAvailable: mqtt.retain_available,
        sharedSubscriptionAvailable: mqtt.shared_subscription,
        subscriptionIdentifiersAvailable: true,
        topicAliasMaximum: mqtt.max_topic_alias,
        wildcardSubscriptionAvailable: mqtt.wildcard_subscription,
        ...(assigned === undefined ? {} : { assignedClientIdentifier: assigned }),
        ...(packet.properties?.requestResponseInformation ? { responseInformation: '' } : {}),
      },
    });
  }

  #readWill(packet: IConnectPacket, client: ClientRecord): Will | undefined {
    const will = packet.will;
    if (!will) return undefined;
    const { willDelayInterval, ...properties } = will.properties ?? {};
    const message = this.#message(
      client,
      will.topic,
      Buffer.from(will.payload ?? ''),
      will.qos ?? 0,
      will.retain ?? false,
      properties as IPublishPacket['properties'],
    );
    return { message, delaySeconds: willDelayInterval ?? 0 };
  }

  #message(
    client: ClientRecord,
    topic: string,
    payload: Buffer,
    qos: 0 | 1 | 2,
    retain: boolean,
    properties: IPublishPacket['properties'],
  ): Message {
    const { messageExpiryInterval, topicAlias: _alias, subscriptionIdentifier: _id, ...forwarded } = properties ?? {};
    const message: Message = {
      id: this.#broker.nextMessageId(),
      topic,
      payload,
      qos,
      retain,
      from: client.clientid,
      fromUsername: client.username ?? '',
      publishedAt: Date.now(),
    };
    if (Object.keys(forwarded).length > 0) message.properties = forwarded;
    if (messageExpiryInterval !== undefined) message.expiresAt = Date.now() + messageExpiryInterval * 1000;
    return message;
  }

  #onPublish(packet: IPublishPacket, session: Session): void {
    const topic = this.#topicOf(packet);
    if (topic === undefined) return;
    const { client } = session;
    const { mqtt } = this.#broker.config.global_zone;
    this.#broker.count('messages.received');
    this.stats.recv_msg++;
    this.stats.recv_qos[packet.qos]++;
    if (packet.retain && !mqtt.retain_available) return this.#fail(0x9a);
    if (packet.qos > mqtt.max_qos_allowed) return this.#fail(0x9b);
    const delayed = parseDelayed(topic);
    if (delayed === 'malformed') return void this.#socket.destroy();
    const access: Access = { action: 'publish', topic: delayed?.topic ?? topic, qos: packet.qos, retain: packet.retain };
    const allowed = this.#authorize(access);
    if (allowed === 'closed') return;
    if (!allowed) return this.#denied(packet);
    const repeated = packet.qos === 2 && session.awaitingRelease.has(packet.messageId ?? 0);
    if (packet.qos === 2) session.awaitingRelease.add(packet.messageId ?? 0);
    const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload);
    const reached = repeated
      ? 1
      : this.#broker.publish(this.#message(client, topic, payload, packet.qos, packet.retain, packet.properties));
    this.#acknowledge(packet, reached > 0 ? 0 : 0x10);
  }

  /** Resolves the topic alias (MQTT5 §3.3.2.3.4); undefined when the connection was closed for it. */
  #topicOf(packet: IPublishPacket): string | undefined {
    const alias = packet.properties?.topicAlias;
    let topic = packet.topic.toString();
    if (alias !== undefined) {
      if (alias === 0 || alias > this.#broker.config.global_zone.mqtt.max_topic_alias) return void this.#fail(0x94);
      if (topic === '') topic = this.#aliases.get(alias) ?? '';
      else this.#aliases.set(alias, topic);
      if (topic === '') return void this.#fail(0x82);
    }
    if (!isTopicName(topic)) return void this.#fail(0x90);
    return topic;
  }

  #authorize(access: Access): boolean | 'closed' {
    const client = this.client;
    if (!client) return false;
    const decision = this.#broker.authorizer.check(client, access, this.cache);
    this.#broker.onEvent?.({
      event: 'client.check_authz_complete',
      ...eventOf(client),
      action: access.action,
      topic: access.topic,
      result: decision.permission,
      authz_source: decision.source,
    });
    if (decision.cut) {
      this.#socket.destroy(); // killed by its heap limit: no DISCONNECT
      return 'closed';
    }
    return decision.permission === 'allow';
  }

  #denied(packet: IPublishPacket): void {
    if (this.#broker.config.authorization.deny_action === 'disconnect') return this.#fail(NOT_AUTHORIZED);
    this.#acknowledge(packet, NOT_AUTHORIZED);
  }

  /** MQTT 3.1.1 has no reason code: a denied publish gets the same PUBACK as any other. */
  #acknowledge(packet: IPublishPacket, reasonCode: number): void {
    if (packet.qos === 1) this.send({ cmd: 'puback', messageId: packet.messageId ?? 0, reasonCode });
    if (packet.qos === 2) this.send({ cmd: 'pubrec', messageId: packet.messageId ?? 0, reasonCode });
  }

  #onPubrec(messageId: number, failed: boolean, session: Session): void {
    const known = session.onPubrec(messageId, failed);
    if (!failed) this.send({ cmd: 'pubrel', messageId, reasonCode: known ? 0 : 0x92 });
  }

  #onSubscribe(packet: ISubscribePacket, session: Session): void {
    const wanted = packet.subscriptions.map((asked) => ({ asked, parsed: parseSubscription(asked.topic) }));
    if (wanted.some(({ parsed }) => parsed === undefined)) return this.#fail(0x8f);
    const granted: number[] = [];
    const fresh: { raw: string; filter: string; options: SubscriptionOptions; existed: boolean }[] = [];
    for (const { asked, parsed } of wanted) {
      if (!parsed) continue;
      const code = this.#grant(parsed, asked.topic, asked.qos);
      if (code === 'closed') return;
      granted.push(code);
      if (code > 2) continue;
      const options: SubscriptionOptions = { qos: asked.qos, nl: asked.nl ?? false, rap: asked.rap ?? false, rh: asked.rh ?? 0 };
      const id = packet.properties?.subscriptionIdentifier;
      if (typeof id === 'number') options.id = id;
      const { existed } = this.#broker.subscribe(session, { session, raw: asked.topic, ...parsed, options });
      if (parsed.group === undefined) fresh.push({ raw: asked.topic, filter: parsed.filter, options, existed });
    }
    if (granted.includes(NOT_AUTHORIZED) && this.#broker.config.authorization.deny_action === 'disconnect')
      return this.#fail(NOT_AUTHORIZED);
    const codes = this.#protocol === 5 ? granted : granted.map((code) => (code > 2 ? 0x80 : code));
    this.send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: codes, reasonCode: 0 });
    for (const { raw, filter, options, existed } of fresh) {
      const subscriber = session.subscriptions.get(raw);
      if (!subscriber || options.rh === 2 || (options.rh === 1 && existed)) continue;
      for (const message of this.#broker.retainedMatching(filter)) session.deliver(message, subscriber, true);
    }
  }

  #grant(parsed: Subscription, raw: string, qos: 0 | 1 | 2): number | 'closed' {
    // The ACL is asked about what is behind the prefix, and before the feature is.
    const exclusive = raw.startsWith('$exclusive/');
    const topic = exclusive ? raw.slice('$exclusive/'.length) : parsed.filter;
    const allowed = this.#authorize({ action: 'subscribe', topic, qos, retain: false });
    if (allowed === 'closed') return 'closed';
    if (!allowed) return NOT_AUTHORIZED;
    return exclusive && !this.#broker.config.global_zone.mqtt.exclusive_subscription ? 0x8f : qos;
  }

  #onUnsubscribe(packet: IUnsubscribePacket, session: Session): void {
    const granted = packet.unsubscriptions.map((raw) => (this.#broker.unsubscribe(session, raw) ? 0 : 0x11));
    this.send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted });
  }

  #onDisconnect(packet: IDisconnectPacket, session: Session): void {
    if (packet.reasonCode !== 0x04) this.#will = undefined; // MQTT5 §3.14.2.1: 0x04 keeps the will
    const expiry = packet.properties?.sessionExpiryInterval;
    if (expiry !== undefined && session.expirySeconds > 0) session.expirySeconds = expiry;
    this.#end('normal');
    this.#socket.end();
  }

  /** The broker ends the connection: DISCONNECT with the reason on MQTT 5, a plain close on 3.1.1. */
  #disconnect(reasonCode: number, reason: string): void {
    if (this.#ended) return;
    if (this.#protocol === 5 && this.client) this.send({ cmd: 'disconnect', reasonCode });
    this.#end(reason);
    this.#socket.end();
    // A peer that does not close its side must not keep the socket.
    setTimeout(() => this.#socket.destroy(), 2000).unref();
  }

  #fail(reasonCode: number): void {
    this.#disconnect(reasonCode, 'protocol_error');
  }

  #end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#broker.connections.delete(this);
    const { client, session } = this;
    if (!client || !session) return;
    this.#broker.detach(session, this);
    this.#publishWill(client, session);
    this.#broker.countFlap(client.clientid);
    this.#broker.count('client.disconnected');
    this.#broker.onEvent?.({ event: 'client.disconnected', ...eventOf(client), reason, disconnected_at: Date.now() });
  }

  /** Not for a banned client, not on a topic it may not publish to; delayed as MQTT5 §3.1.3.2.2 says. */
  #publishWill(client: ClientRecord, session: Session): void {
    const will = this.#will;
    this.#will = undefined;
    if (!will) return;
    const publish = () => {
      if (this.#broker.banned(client)) return;
      const { topic, qos, retain } = will.message;
      const { permission } = this.#broker.authorizer.check(client, { action: 'publish', topic, qos, retain }, this.cache);
      if (permission === 'allow') this.#broker.publish({ ...will.message, publishedAt: Date.now() });
    };
    const waitSeconds = Math.min(will.delaySeconds, session.expirySeconds);
    if (waitSeconds === 0) publish();
    else setTimeout(() => session.connection || publish(), waitSeconds * 1000).unref();
  }
}

function sessionExpiry(packet: IConnectPacket, defaultMs = 7_200_000): number {
  if (packet.protocolVersion === 5) return packet.properties?.sessionExpiryInterval ?? 0;
  return packet.clean ? 0 : defaultMs / 1000;
}

function eventOf(client: ClientRecord): Record<string, unknown> {
  const { clientid, username, attrs, peerhost, port } = client;
  return {
    clientid,
    username,
    client_attrs: attrs,
    peerhost,
    peername: `${peerhost}:${port}`,
    proto_ver: client.protocol,
    timestamp: Date.now(),
  };
}
