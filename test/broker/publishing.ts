/** PUBLISH and the packets of its acknowledgement, from the client's side to the broker. */

import type { IPublishPacket, IPubrecPacket } from 'mqtt-packet';
import type { Broker } from './broker.ts';
import { type Connection, NOT_AUTHORIZED } from './connection.ts';
import type { ClientRecord, Message, Session } from './session.ts';
import { isTopicName, parseDelayed } from './topic.ts';

const NO_MATCHING_SUBSCRIBERS = 0x10;

export function handlePublish(connection: Connection, packet: IPublishPacket, session: Session): void {
  const { broker, stats } = connection;
  const { mqtt } = broker.config.global_zone;
  const topic = topicOf(connection, packet);
  if (topic === undefined) return;
  broker.count('messages.received');
  stats.recv_msg++;
  stats.recv_qos[packet.qos]++;
  const delayed = parseDelayed(topic);
  if (packet.retain && !mqtt.retain_available) connection.fail(0x9a);
  else if (packet.qos > mqtt.max_qos_allowed) connection.fail(0x9b);
  else if (delayed === 'malformed') connection.crash();
  else {
    const { qos, retain } = packet;
    const allowed = connection.authorize({ action: 'publish', topic: delayed?.topic ?? topic, qos, retain });
    if (allowed === true) accept(connection, packet, topic, session);
    else if (!allowed) deny(connection, packet);
  }
}

/** Resolves the topic alias (MQTT5 §3.3.2.3.4); undefined when the connection was closed for it. */
function topicOf(connection: Connection, packet: IPublishPacket): string | undefined {
  const alias = packet.properties?.topicAlias;
  let topic = packet.topic.toString();
  let wrong: number | undefined;
  if (alias !== undefined) {
    if (alias === 0 || alias > connection.broker.config.global_zone.mqtt.max_topic_alias) wrong = 0x94;
    else if (topic !== '') connection.aliases.set(alias, topic);
    else topic = connection.aliases.get(alias) ?? '';
    if (topic === '') wrong ??= 0x82;
  }
  if (!isTopicName(topic)) wrong ??= 0x90;
  if (wrong === undefined) return topic;
  connection.fail(wrong);
  return undefined;
}

function accept(connection: Connection, packet: IPublishPacket, topic: string, session: Session): void {
  const messageId = packet.messageId ?? 0;
  const repeated = packet.qos === 2 && session.awaitingRelease.has(messageId);
  if (packet.qos === 2) session.awaitingRelease.add(messageId);
  const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload);
  const { qos, retain, properties = {} } = packet;
  const message = () => makeMessage(connection.broker, session.client, { topic, payload, qos, retain, properties });
  const reached = repeated ? 1 : connection.broker.publish(message());
  acknowledge(connection, packet, reached > 0 ? 0 : NO_MATCHING_SUBSCRIBERS);
}

function deny(connection: Connection, packet: IPublishPacket): void {
  if (connection.broker.config.authorization.deny_action === 'disconnect') connection.fail(NOT_AUTHORIZED);
  else acknowledge(connection, packet, NOT_AUTHORIZED);
}

/** MQTT 3.1.1 has no reason code: a denied publish gets the same PUBACK as any other. */
function acknowledge(connection: Connection, packet: IPublishPacket, reasonCode: number): void {
  const messageId = packet.messageId ?? 0;
  if (packet.qos === 1) connection.send({ cmd: 'puback', messageId, reasonCode });
  if (packet.qos === 2) connection.send({ cmd: 'pubrec', messageId, reasonCode });
}

/** PUBREC of a message that went to this client. */
export function acknowledgeReceived(connection: Connection, packet: IPubrecPacket, session: Session): void {
  const messageId = packet.messageId ?? 0;
  const failed = (packet.reasonCode ?? 0) >= 0x80;
  const known = session.onPubrec(messageId, failed);
  if (!failed) connection.send({ cmd: 'pubrel', messageId, reasonCode: known ? 0 : 0x92 });
}

/** PUBREL of a message that came from this client. */
export function releaseReceived(connection: Connection, messageId: number, session: Session): void {
  session.awaitingRelease.delete(messageId);
  connection.send({ cmd: 'pubcomp', messageId, reasonCode: 0 });
}

type Content = Pick<Message, 'topic' | 'payload' | 'qos' | 'retain'> & { properties: NonNullable<IPublishPacket['properties']> };

export function makeMessage(broker: Broker, client: ClientRecord, { properties, ...content }: Content): Message {
  const { messageExpiryInterval, topicAlias: _alias, subscriptionIdentifier: _id, ...forwarded } = properties;
  const now = Date.now();
  return {
    id: broker.nextMessageId(),
    ...content,
    from: client.clientid,
    fromUsername: client.username ?? '',
    publishedAt: now,
    ...(Object.keys(forwarded).length > 0 ? { properties: forwarded } : {}),
    ...(messageExpiryInterval === undefined ? {} : { expiresAt: now + messageExpiryInterval * 1000 }),
  };
}
