/** SUBSCRIBE and UNSUBSCRIBE. */

import type { ISubscribePacket, IUnsubscribePacket } from 'mqtt-packet';
import { type Connection, NOT_AUTHORIZED } from './connection.ts';
import type { Session } from './session.ts';
import { parseSubscription, type Subscription } from './topic.ts';
import type { Subscriber, SubscriptionOptions } from './topic-tree.ts';

type Fresh = { subscriber: Subscriber; existed: boolean };

/** Malformed filters end the connection (0x8F); each of the others is granted or refused by itself. */
export function handleSubscribe(connection: Connection, packet: ISubscribePacket, session: Session): void {
  const wanted = packet.subscriptions.map((asked) => ({ asked, parsed: parseSubscription(asked.topic) }));
  if (wanted.some(({ parsed }) => parsed === undefined)) {
    connection.fail(0x8f);
    return;
  }
  const granted: number[] = [];
  const fresh: Fresh[] = [];
  for (const { asked, parsed } of wanted) {
    if (!parsed) continue;
    const code = grant(connection, parsed, asked.topic, asked.qos);
    if (code === 'closed') return;
    granted.push(code);
    if (code > 2) continue;
    const options: SubscriptionOptions = { qos: asked.qos, nl: asked.nl ?? false, rap: asked.rap ?? false, rh: asked.rh ?? 0 };
    const id = packet.properties?.subscriptionIdentifier;
    if (typeof id === 'number') options.id = id;
    const subscriber: Subscriber = { session, raw: asked.topic, ...parsed, options };
    fresh.push({ subscriber, ...connection.broker.subscribe(session, subscriber) });
  }
  if (granted.includes(NOT_AUTHORIZED) && connection.broker.config.authorization.deny_action === 'disconnect') {
    connection.fail(NOT_AUTHORIZED);
    return;
  }
  const codes = connection.protocol === 5 ? granted : granted.map((code) => (code > 2 ? 0x80 : code));
  connection.send({ cmd: 'suback', messageId: packet.messageId ?? 0, granted: codes, reasonCode: 0 });
  for (const one of fresh) deliverRetained(connection, one);
}

function grant(connection: Connection, parsed: Subscription, raw: string, qos: 0 | 1 | 2): number | 'closed' {
  // The ACL is asked about what is behind the prefix, and before the feature is.
  const exclusive = raw.startsWith('$exclusive/');
  const topic = exclusive ? raw.slice('$exclusive/'.length) : parsed.filter;
  const allowed = connection.authorize({ action: 'subscribe', topic, qos, retain: false });
  if (allowed === 'closed') return 'closed';
  if (!allowed) return NOT_AUTHORIZED;
  return exclusive && !connection.broker.config.global_zone.mqtt.exclusive_subscription ? 0x8f : qos;
}

/** As Retain Handling says (MQTT5 §3.8.3.1); never to a shared subscription (§4.8.2). */
function deliverRetained({ broker }: Connection, { subscriber, existed }: Fresh): void {
  const { rh } = subscriber.options;
  if (subscriber.group !== undefined || rh === 2 || (rh === 1 && existed)) return;
  for (const message of broker.retainedMatching(subscriber.filter)) subscriber.session.deliver(message, subscriber, true);
}

export function handleUnsubscribe(connection: Connection, packet: IUnsubscribePacket, session: Session): void {
  const granted = packet.unsubscriptions.map((raw) => (connection.broker.unsubscribe(session, raw) ? 0 : 0x11));
  connection.send({ cmd: 'unsuback', messageId: packet.messageId ?? 0, granted });
}
