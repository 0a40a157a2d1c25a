/** A client as GET /clients shows it: its 60 fields. What only an Erlang process has (heap, reductions) is a constant here. */

import type { JsonObject } from '../config.ts';
import type { Session } from '../session.ts';

export function clientRow(session: Session, node: string): JsonObject {
  const { client, connection } = session;
  const stats = session.stats;
  return {
    ...identity(session),
    ...dropped(session),
    auth_expire_at: null,
    awaiting_rel_cnt: session.awaitingRelease.size,
    awaiting_rel_max: 100,
    clean_start: client.cleanStart,
    connected: connection !== undefined,
    connected_at: timestamp(client.connectedAt),
    created_at: timestamp(session.createdAt),
    ...(connection === undefined && client.disconnectedAt !== undefined ? { disconnected_at: timestamp(client.disconnectedAt) } : {}),
    durable: false,
    enable_authn: true,
    expiry_interval: session.expirySeconds,
    heap_size: 1598,
    inflight_cnt: session.inflight,
    inflight_max: 32,
    is_bridge: client.isBridge,
    is_expired: false,
    is_persistent: session.expirySeconds > 0,
    keepalive: client.keepalive,
    mailbox_len: 0,
    mqueue_len: session.queued,
    mqueue_max: 1000,
    node,
    proto_name: client.protocol === 3 ? 'MQIsdp' : 'MQTT',
    proto_ver: client.protocol,
    recv_cnt: stats.recv_pkt,
    recv_msg: stats.recv_msg,
    recv_oct: stats.recv_oct,
    recv_pkt: stats.recv_pkt,
    reductions: 36271,
    send_cnt: stats.send_pkt,
    send_msg: stats.send_msg,
    send_oct: stats.send_oct,
    send_pkt: stats.send_pkt,
    subscriptions_cnt: session.subscriptions.size,
    subscriptions_max: 'infinity',
  };
}

function identity({ client }: Session): JsonObject {
  return {
    client_attrs: client.attrs,
    clientid: client.clientid,
    ...(client.cn === undefined ? {} : { cn: client.cn }),
    ...(client.dn === undefined ? {} : { dn: client.dn }),
    ip_address: client.peerhost,
    listener: client.listener,
    mountpoint: null,
    ...(client.peersni === undefined ? {} : { peersni: client.peersni }),
    port: client.port,
    username: client.username ?? null,
  };
}

function dropped(session: Session): JsonObject {
  const { stats } = session;
  return {
    mqueue_dropped: session.dropped,
    'recv_msg.dropped': 0,
    'recv_msg.dropped.await_pubrel_timeout': 0,
    'recv_msg.qos0': stats.recv_qos[0],
    'recv_msg.qos1': stats.recv_qos[1],
    'recv_msg.qos2': stats.recv_qos[2],
    'send_msg.dropped': session.dropped,
    'send_msg.dropped.expired': 0,
    'send_msg.dropped.queue_full': session.dropped,
    'send_msg.dropped.too_large': 0,
    'send_msg.qos0': stats.send_qos[0],
    'send_msg.qos1': stats.send_qos[1],
    'send_msg.qos2': stats.send_qos[2],
  };
}

export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '+00:00');
}

/** What `fields=` may name. */
export const CLIENT_FIELDS: ReadonlySet<string> = new Set(
  `auth_expire_at awaiting_rel_cnt awaiting_rel_max clean_start client_attrs clientid cn connected connected_at created_at
  disconnected_at dn durable enable_authn expiry_interval heap_size inflight_cnt inflight_max ip_address is_bridge is_expired
  is_persistent keepalive listener mailbox_len mountpoint mqueue_dropped mqueue_len mqueue_max node peersni port proto_name proto_ver
  recv_cnt recv_msg recv_msg.dropped recv_msg.dropped.await_pubrel_timeout recv_msg.qos0 recv_msg.qos1 recv_msg.qos2 recv_oct recv_pkt
  reductions send_cnt send_msg send_msg.dropped send_msg.dropped.expired send_msg.dropped.queue_full send_msg.dropped.too_large
  send_msg.qos0 send_msg.qos1 send_msg.qos2 send_oct send_pkt subscriptions_cnt subscriptions_max username`
    .trim()
    .split(/\s+/),
);
