/** CONNECT: who it is, whether it may come in, and the session it gets. */

import type { IConnectPacket } from 'mqtt-packet';
import { durationMs } from './config.ts';
import { type Connection, eventOf } from './connection.ts';
import { identify } from './identity.ts';
import type { ClientRecord } from './session.ts';
import { readWill } from './will.ts';

export function handleConnect(connection: Connection, packet: IConnectPacket): void {
  const { broker, peer, listener } = connection;
  const { mqtt } = broker.config.global_zone;
  connection.protocol = (packet.protocolVersion ?? 4) as 3 | 4 | 5;
  const identity = identify(mqtt, packet, peer);
  const client: ClientRecord = {
    ...identity.client,
    protocol: connection.protocol,
    cleanStart: packet.clean ?? true,
    keepalive: packet.keepalive ?? 0,
    listener,
    port: peer.port,
    connectedAt: Date.now(),
    isBridge: false,
  };
  if (peer.sni !== undefined) client.peersni = peer.sni;
  if (broker.banned(client)) {
    refuse(connection);
    return;
  }
  connection.receiveMaximum = Math.min(packet.properties?.receiveMaximum ?? 65535, mqtt.max_inflight);
  connection.maxOutgoingBytes = packet.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY;
  connection.client = client;
  connection.will = readWill(broker, packet, client);
  const { session, present } = broker.openSession(client, connection, sessionExpiry(packet, durationMs(mqtt.session_expiry_interval)));
  connection.session = session;
  acknowledge(connection, packet, present, identity.assigned);
  session.resume();
  broker.count('client.connected');
  broker.onEvent?.({ event: 'client.connected', ...eventOf(client), ...connectedEvent(connection, client, session.expirySeconds) });
}

/** 0x8A on MQTT 5, "not authorized" on 3.1.1 (recorded). */
function refuse(connection: Connection): void {
  if (connection.protocol === 5) connection.send({ cmd: 'connack', sessionPresent: false, reasonCode: 0x8a });
  else connection.send({ cmd: 'connack', sessionPresent: false, returnCode: 5 });
  connection.refused();
}

/** Without an expiry, MQTT 5 sessions end with their connection; those of 3.1.1 stay for `session_expiry_interval` unless clean. */
function sessionExpiry(packet: IConnectPacket, defaultMs = 7_200_000): number {
  if (packet.protocolVersion === 5) return packet.properties?.sessionExpiryInterval ?? 0;
  return packet.clean ? 0 : defaultMs / 1000;
}

function acknowledge(connection: Connection, packet: IConnectPacket, sessionPresent: boolean, assigned: string | undefined): void {
  if (connection.protocol !== 5) {
    connection.send({ cmd: 'connack', sessionPresent, returnCode: 0 });
    return;
  }
  const { mqtt } = connection.broker.config.global_zone;
  connection.send({
    cmd: 'connack',
    sessionPresent,
    reasonCode: 0,
    properties: {
      maximumPacketSize: connection.maxPacketBytes,
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

function connectedEvent(connection: Connection, client: ClientRecord, expirySeconds: number): Record<string, unknown> {
  return {
    clean_start: client.cleanStart,
    conn_props: { 'User-Property': {} },
    connected_at: client.connectedAt,
    expiry_interval: expirySeconds,
    is_bridge: client.isBridge,
    keepalive: client.keepalive,
    mountpoint: 'undefined',
    proto_name: 'MQTT',
    proto_ver: client.protocol,
    receive_maximum: connection.receiveMaximum,
    sockname: connection.broker.config.listeners[client.listener]?.bind,
  };
}
