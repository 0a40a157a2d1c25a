/** The will: taken at CONNECT, published when the connection ends in any way but an orderly DISCONNECT (MQTT5 §3.1.2.5). */

import type { IConnectPacket } from 'mqtt-packet';
import type { Broker } from './broker.ts';
import type { Connection } from './connection.ts';
import { makeMessage } from './publishing.ts';
import type { ClientRecord, Message, Session } from './session.ts';

export type Will = { message: Message; delaySeconds: number };

export function readWill(broker: Broker, packet: IConnectPacket, client: ClientRecord): Will | undefined {
  const { will } = packet;
  if (!will) return undefined;
  const { willDelayInterval, ...properties } = will.properties ?? {};
  const { topic, payload = '', qos = 0, retain = false } = will;
  const message = makeMessage(broker, client, { topic, payload: Buffer.from(payload), qos, retain, properties });
  return { message, delaySeconds: willDelayInterval ?? 0 };
}

/** Not for a banned client, not on a topic it may not publish to; delayed as MQTT5 §3.1.3.2.2 says. */
export function publishWill(connection: Connection, client: ClientRecord, session: Session): void {
  const { broker, cache, will } = connection;
  connection.will = undefined;
  if (!will) return;
  const publish = () => {
    if (broker.banned(client)) return;
    const { topic, qos, retain } = will.message;
    const { permission } = broker.authorizer.check(client, { action: 'publish', topic, qos, retain }, cache);
    if (permission === 'allow') broker.publish({ ...will.message, publishedAt: Date.now() });
  };
  const waitSeconds = Math.min(will.delaySeconds, session.expirySeconds);
  if (waitSeconds === 0) publish();
  else setTimeout(() => session.connection || publish(), Math.min(waitSeconds * 1000, 2 ** 31 - 1)).unref();
}
