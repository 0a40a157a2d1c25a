/** What `GET /configs` answers with when asked for JSON: roots that the stand-in does not use (recorded). */

import type { JsonObject } from '../config.ts';

export const OTHER_ROOTS: JsonObject = {
  alarm: {
    actions: ['log', 'publish'],
    size_limit: 1000,
    validity_period: '24h',
  },
  broker: {
    enable_session_registry: true,
    session_history_retain: '0s',
  },
  dashboard: {
    cors: false,
    default_password: '******',
    listeners: {
      http: {
        backlog: 1024,
        bind: '127.0.0.1:18083',
        inet6: false,
        ipv6_v6only: false,
        max_connections: 512,
        num_acceptors: 2,
        proxy_header: false,
        send_timeout: '10s',
      },
    },
    swagger_support: true,
    token_expired_time: '60m',
  },
  log: {
    console: {
      enable: false,
      formatter: 'text',
      level: 'warning',
      payload_encode: 'text',
      time_offset: 'system',
      timestamp_format: 'auto',
    },
    file: {
      default: {
        enable: true,
        formatter: 'text',
        level: 'warning',
        path: `\${EMQX_LOG_DIR}/emqx.log`,
        payload_encode: 'text',
        rotation_count: 10,
        rotation_size: '50MB',
        time_offset: 'system',
        timestamp_format: 'auto',
      },
    },
    throttling: {
      time_window: '1m',
    },
  },
  sys_topics: {
    sys_event_messages: {
      client_connected: true,
      client_disconnected: true,
      client_subscribed: false,
      client_unsubscribed: false,
    },
    sys_heartbeat_interval: '30s',
    sys_msg_interval: '1m',
  },
  sysmon: {
    broker_pool_mailbox_size_alarm_threshold: 500,
    mnesia_tm_mailbox_size_alarm_threshold: 500,
    os: {
      cpu_check_interval: '60s',
      cpu_high_watermark: '80%',
      cpu_low_watermark: '60%',
      mem_check_interval: '60s',
      procmem_high_watermark: '5%',
      sysmem_high_watermark: '70%',
    },
    vm: {
      busy_dist_port: true,
      busy_port: true,
      large_heap: '32MB',
      long_gc: 'disabled',
      long_schedule: '240ms',
      process_check_interval: '30s',
      process_high_watermark: '80%',
      process_low_watermark: '60%',
    },
  },
};
