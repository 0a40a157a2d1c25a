/** The broker's configuration: EMQX's defaults as GET shows them, the two profiles, and where API changes are kept. */

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export type Source = { type: 'file'; enable: boolean; rules: string } | { type: 'built_in_database'; enable: boolean; max_rules: number };

export type MqttConfig = {
  peer_cert_as_clientid: string;
  peer_cert_as_username: string;
  client_attrs_init: { expression: string; set_as_attr: string }[];
  clientid_override: string;
  max_packet_size: string;
  max_inflight: number;
  max_mqueue_len: number;
  max_topic_alias: number;
  max_topic_levels: number;
  max_qos_allowed: number;
  retain_available: boolean;
  exclusive_subscription: boolean;
  shared_subscription: boolean;
  wildcard_subscription: boolean;
  keepalive_multiplier: number;
  session_expiry_interval: string;
  mqueue_store_qos0: boolean;
  idle_timeout: string;
} & JsonObject;

export type GlobalZone = {
  durable_sessions: JsonObject;
  flapping_detect: { ban_time: string; enable: boolean; max_count: number; window_time: string };
  force_gc: JsonObject;
  force_shutdown: JsonObject;
  mqtt: MqttConfig;
};

export type Listener = { type: 'ssl' | 'tcp' | 'ws' | 'wss'; enable: boolean; bind: string; ssl_options?: SslOptions } & JsonObject;
export type SslOptions = {
  verify: string;
  fail_if_no_peer_cert: boolean;
  versions: string[];
  enable_crl_check: boolean;
  cacertfile: string;
  certfile: string;
  keyfile: string;
} & JsonObject;

export type Settings = {
  cache: { enable: boolean; excludes: string[]; max_size: number; ttl: string };
  deny_action: string;
  no_match: string;
};

export type Config = {
  global_zone: GlobalZone;
  authorization: Settings;
  sources: Source[];
  listeners: Record<string, Listener>;
  delayed: { enable: boolean; max_delayed_messages: number };
  retainer: JsonObject;
  crl_cache: { refresh_interval: string; http_timeout: string; capacity: number };
  api_key: { bootstrap_file: string };
  /** `type:name` to the stored body; of rules the id. */
  connectors: Record<string, JsonObject>;
  actions: Record<string, JsonObject>;
  rules: Record<string, JsonObject>;
};

export type Profile = 'hedgerow' | 'recorded';

export type BootFiles = {
  ca: string;
  cert: string;
  key: string;
  keys: string;
  sslBind: string;
  tcpBind: string;
  wsBind: string;
  wssBind: string;
};

/** What the broker boots with before anything was changed by API (`base.hocon` of the reference profile). */
export function bootConfig(profile: Profile, files: BootFiles): Config {
  const hedgerow = profile === 'hedgerow';
  return {
    global_zone: {
      durable_sessions: DURABLE_SESSIONS,
      flapping_detect: { ban_time: '5m', enable: false, max_count: 15, window_time: '1m' },
      force_gc: { bytes: '16MB', count: 16000, enable: true },
      force_shutdown: { enable: true, max_heap_size: '32MB', max_mailbox_size: 1000 },
      mqtt: { ...MQTT_DEFAULTS, ...(hedgerow ? HEDGEROW_IDENTITY : RECORDED_IDENTITY) },
    },
    authorization: {
      cache: { enable: true, excludes: [], max_size: 32, ttl: hedgerow ? '30s' : '1m' },
      deny_action: 'ignore',
      no_match: 'deny',
    },
    sources: [
      { type: 'built_in_database', enable: true, max_rules: 100 },
      { type: 'file', enable: true, rules: BOOT_TEXT },
    ],
    listeners: bootListeners(hedgerow, files),
    delayed: { enable: !hedgerow, max_delayed_messages: 0 },
    retainer: RETAINER,
    crl_cache: { refresh_interval: '1m', http_timeout: '5s', capacity: 100 },
    api_key: { bootstrap_file: files.keys },
    connectors: {},
    actions: {},
    rules: {},
  };
}

/** The text in the image: nobody may do anything until somebody says so. */
export const BOOT_TEXT = '{deny, all}.\n';

const HEDGEROW_IDENTITY = {
  client_attrs_init: [
    {
      expression: "nth(2, regex_extract(dn, '^CN=[a-z0-9-]{1,62}[.]([a-z0-9-]{1,62}),OU=([a-z0-9-]{1,62}[.]\\1),O=hedgerow$'))",
      set_as_attr: 'seg',
    },
  ],
  clientid_override:
    "coalesce(nth(1, regex_extract(dn, '^CN=([a-z0-9-]{1,62}[.]([a-z0-9-]{1,62})),OU=[a-z0-9-]{1,62}[.]\\2,O=hedgerow$')), 'invalid-certificate')",
};

const RECORDED_IDENTITY = {
  client_attrs_init: [
    { expression: "nth(1, regex_extract(dn, '^CN=[A-Za-z0-9][A-Za-z0-9_-]{0,62},OU=([a-z0-9-]{1,63}),O=acme$'))", set_as_attr: 'seg' },
  ],
};

export const MQTT_DEFAULTS: MqttConfig = {
  await_rel_timeout: '300s',
  client_attrs_init: [],
  clientid_override: 'disabled',
  exclusive_subscription: false,
  idle_timeout: '15s',
  ignore_loop_deliver: false,
  keepalive_check_interval: '30s',
  keepalive_multiplier: 1.5,
  max_awaiting_rel: 100,
  max_clientid_len: 65535,
  max_inflight: 32,
  max_mqueue_len: 1000,
  max_packet_size: '256KB',
  max_qos_allowed: 2,
  max_subscriptions: 'infinity',
  max_topic_alias: 65535,
  max_topic_levels: 128,
  message_expiry_interval: 'infinity',
  mqueue_default_priority: 'lowest',
  mqueue_priorities: 'disabled',
  mqueue_store_qos0: true,
  peer_cert_as_clientid: 'cn',
  peer_cert_as_username: 'md5',
  response_information: '',
  retain_available: true,
  retry_interval: 'infinity',
  server_keepalive: 'disabled',
  session_expiry_interval: '2h',
  shared_subscription: true,
  shared_subscription_initial_sticky_pick: 'random',
  shared_subscription_strategy: 'round_robin',
  strict_mode: false,
  upgrade_qos: false,
  use_username_as_clientid: false,
  wildcard_subscription: true,
};

const DURABLE_SESSIONS: JsonObject = {
  batch_size: 100,
  enable: false,
  heartbeat_interval: '5000ms',
  idle_poll_interval: '10s',
  message_retention_period: '1d',
  session_gc_batch_size: 100,
  session_gc_interval: '10m',
};

const RETAINER: JsonObject = {
  allow_never_expire: true,
  backend: {
    enable: true,
    index_specs: [[1, 2, 3], [1, 3], [2, 3], [3]],
    max_retained_messages: 0,
    storage_type: 'ram',
    type: 'built_in_database',
  },
  delivery_rate: '1000/s',
  enable: true,
  max_payload_size: '1MB',
  max_publish_rate: '1000/s',
  msg_clear_interval: '0s',
  msg_expiry_interval: '0s',
  msg_expiry_interval_override: 'disabled',
  stop_publish_clear_msg: false,
};

export const TCP_OPTIONS: JsonObject = {
  active_n: 100,
  backlog: 1024,
  buffer: '4KB',
  high_watermark: '1MB',
  keepalive: 'none',
  nodelay: true,
  nolinger: false,
  reuseaddr: true,
  send_timeout: '15s',
  send_timeout_close: true,
};

function bootListeners(hedgerow: boolean, files: BootFiles): Record<string, Listener> {
  const common = (type: Listener['type'], bind: string): Listener => ({
    acceptors: 16,
    access_rules: ['allow all'],
    bind,
    enable: false,
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
  const ssl_options: SslOptions = {
    cacertfile: files.ca,
    certfile: files.cert,
    ciphers: [],
    client_renegotiation: true,
    depth: 2,
    enable_crl_check: false,
    fail_if_no_peer_cert: true,
    gc_after_handshake: false,
    handshake_timeout: '15s',
    hibernate_after: '5s',
    honor_cipher_order: true,
    keyfile: files.key,
    log_level: 'notice',
    ocsp: { enable_ocsp_stapling: false, refresh_http_timeout: '15s', refresh_interval: '5m' },
    reuse_sessions: false,
    secure_renegotiate: true,
    verify: 'verify_peer',
    versions: hedgerow ? ['tlsv1.3'] : ['tlsv1.3', 'tlsv1.2'],
  };
  // The reference profile leaves the address of what it switches off to the default: every one.
  const off = (bind: string) => (hedgerow ? bind.slice(bind.lastIndexOf(':')) : bind);
  return {
    'ssl:default': {
      ...common('ssl', files.sslBind),
      enable: true,
      max_conn_rate: hedgerow ? '500/s' : 'infinity',
      max_connections: hedgerow ? 100000 : 15000,
      ssl_options,
    },
    'tcp:default': common('tcp', off(files.tcpBind)),
    'ws:default': common('ws', off(files.wsBind)),
    'wss:default': common('wss', off(files.wssBind)),
  };
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `"30s"`, `"1m30s"`, `"5000ms"` in milliseconds; undefined when it is no duration. */
export function durationMs(text: Json | undefined): number | undefined {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  if (typeof text === 'number') return text;
  if (typeof text !== 'string' || !/^(\d+(\.\d+)?(ms|s|m|h|d))+$/i.test(text)) return undefined;
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gi)].reduce(
    (sum, found) => sum + Number(found[1]) * (UNITS[found[2]?.toLowerCase() ?? ''] ?? 0),
    0,
  );
}

/** `"256KB"` in bytes. */
export function bytes(text: string): number {
  const found = /^(\d+)(B|KB|MB|GB)?$/i.exec(text);
  return Number(found?.[1] ?? 0) * ({ KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }[(found?.[2] ?? '').toUpperCase()] ?? 1);
}
