/** Defaults of EMQX's schema: what `PUT /configs` puts in place of every key that was not sent (recorded in configs*.json). */

import { type BootFiles, type Config, type JsonObject, type Listener, MQTT_DEFAULTS, TCP_OPTIONS } from './config.ts';

/** EMQX leaves this variable in its answers as it stands. */
export const ETC_DIR = `\${EMQX_ETC_DIR}`;

export const SSL_DEFAULTS: JsonObject = {
  cacertfile: `${ETC_DIR}/certs/cacert.pem`,
  certfile: `${ETC_DIR}/certs/cert.pem`,
  ciphers: [],
  client_renegotiation: true,
  depth: 10,
  enable_crl_check: false,
  fail_if_no_peer_cert: false,
  gc_after_handshake: false,
  handshake_timeout: '15s',
  hibernate_after: '5s',
  honor_cipher_order: true,
  keyfile: `${ETC_DIR}/certs/key.pem`,
  log_level: 'notice',
  ocsp: { enable_ocsp_stapling: false, refresh_http_timeout: '15s', refresh_interval: '5m' },
  reuse_sessions: true,
  secure_renegotiate: true,
  verify: 'verify_none',
  versions: ['tlsv1.3', 'tlsv1.2'],
};

/** The ACL file that EMQX ships: it ends by allowing everything. */
export const SHIPPED_ACL = `%%-------------- Default ACL rules -------------------------------------------------------

{allow, {username, {re, "^dashboard$"}}, subscribe, ["$SYS/#"]}.

{allow, {ipaddr, "127.0.0.1"}, all, ["$SYS/#", "#"]}.

{deny, all, subscribe, ["$SYS/#", {eq, "#"}, {eq, "+/#"}]}.

{allow, all}.
`;

const ZONE = {
  flapping_detect: { ban_time: '5m', enable: false, max_count: 15, window_time: '1m' },
  force_gc: { bytes: '16MB', count: 16000, enable: true },
  force_shutdown: { enable: true, max_heap_size: '32MB', max_mailbox_size: 1000 },
  durable_sessions: {
    batch_size: 100,
    enable: false,
    heartbeat_interval: '5000ms',
    idle_poll_interval: '10s',
    message_retention_period: '1d',
    session_gc_batch_size: 100,
    session_gc_interval: '10m',
  },
};

/** The roots that can be changed at run time, each filled with nothing but defaults. */
export function schemaDefaults(config: Config, boot: BootFiles): Record<string, JsonObject> {
  return {
    ...ZONE,
    mqtt: { ...MQTT_DEFAULTS, peer_cert_as_clientid: 'disabled', peer_cert_as_username: 'disabled', max_packet_size: '1MB' },
    authorization: { cache: { enable: true, excludes: [], max_size: 32, ttl: '1m' }, deny_action: 'ignore', no_match: 'allow' },
    listeners: listenerDefaults(boot),
    delayed: { enable: true, max_delayed_messages: 0 },
    retainer: config.retainer,
    crl_cache: { capacity: 100, http_timeout: '15s', refresh_interval: '15m' },
    api_key: { bootstrap_file: '' },
  };
}

/** Every port of EMQX's defaults is open on all addresses, and `verify_none`; the numbers are the stand-in's own. */
function listenerDefaults({ sslBind, tcpBind, wsBind, wssBind }: BootFiles): JsonObject {
  const port = (bind: string) => bind.slice(bind.lastIndexOf(':'));
  const common = (type: Listener['type'], bind: string): Listener => ({
    acceptors: 16,
    access_rules: ['allow all'],
    bind,
    enable: true,
    enable_authn: true,
    max_conn_rate: 'infinity',
    max_connections: 'infinity',
    mountpoint: '',
    proxy_protocol: false,
    proxy_protocol_timeout: '3s',
    tcp_options: TCP_OPTIONS,
    type,
    zone: 'default',
  });
  return {
    ssl: { default: { ...common('ssl', port(sslBind)), ssl_options: SSL_DEFAULTS } },
    tcp: { default: common('tcp', `0.0.0.0${port(tcpBind)}`) },
    ws: { default: common('ws', `0.0.0.0${port(wsBind)}`) },
    wss: { default: { ...common('wss', `0.0.0.0${port(wssBind)}`), ssl_options: SSL_DEFAULTS } },
  };
}
