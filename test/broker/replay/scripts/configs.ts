/** `/configs` and listeners: what a PUT resets, observed again after each step. */

import type { Json, JsonObject } from '../../config.ts';
import { tryConnect } from '../../testing/device.ts';
import type { Entry } from '../recording.ts';
import type { Stage } from '../stage.ts';
import type { Observed, Script } from './script.ts';

const zones = new WeakMap<Stage, JsonObject>();

async function putZone(stage: Stage, patch: JsonObject = {}): Promise<void> {
  const zone = zones.get(stage) ?? {};
  await stage.call('PUT', '/configs/global_zone', { ...zone, ...patch });
}

export const configs: Script = {
  async setUp(stage) {
    zones.set(stage, (await stage.call('GET', '/configs/global_zone')).body as JsonObject);
  },
  before: {
    'PUT without mode with ONE key': (stage) => putZone(stage),
    'PUT ?mode=replace with ONE key': (stage) => putZone(stage),
    'GET key=mqtt as text': (stage) => putZone(stage),
  },
  observe: (stage, entry) => (entry.name.startsWith('mqtt settings') ? mqttSettings(stage) : undefined),
};

/** As the recorder read them: out of the HOCON text. */
async function mqttSettings(stage: Stage): Promise<Observed> {
  const { text } = await stage.world.standIn.request('GET', '/configs?key=mqtt', { headers: { accept: 'text/plain' } });
  const read = (key: string) => new RegExp(`^  ${key} = (.*)$`, 'm').exec(text)?.[1];
  const keys = ['peer_cert_as_clientid', 'peer_cert_as_username', 'max_packet_size', 'max_inflight'];
  return { seen: { ...Object.fromEntries(keys.map((key) => [key, read(key)])), has_seg_attr: text.includes('set_as_attr = seg') } };
}

export const configsListeners: Script = {
  before: {
    'after sending the full listeners text again': sendListeners,
  },
  observe(stage, entry) {
    if (entry.listener !== undefined) return listeners(stage);
    if (entry.name.startsWith('client with')) return connects(stage, entry);
    return undefined;
  },
};

async function listeners(stage: Stage): Promise<Observed> {
  const { bind, max_connections, ssl_options } = (await stage.call('GET', '/listeners/ssl:default')).body as JsonObject;
  const { verify, fail_if_no_peer_cert, cacertfile, certfile, versions } = ssl_options as JsonObject;
  const all = (await stage.call('GET', '/listeners')).body as JsonObject[];
  return {
    seen: {
      listener: { bind, max_connections, verify, fail_if_no_peer_cert, cacertfile, certfile, versions },
      all: all.map(({ id, enable, status, bind: at }) => `${id} enable=${enable} running=${(status as JsonObject).running} bind=${at}`),
    },
  };
}

/** The words of a refusal are those of the client's OpenSSL; that it was refused is what counts. */
async function connects(stage: Stage, entry: Entry): Promise<Observed> {
  const identity = entry.name.startsWith('client without') ? undefined : await stage.world.identity('dev-1', 'seg-a');
  const attempt = await tryConnect(stage.world.broker, identity);
  if (attempt.ok) await attempt.device.end();
  return { seen: { ok: attempt.ok, ...(entry.err === undefined ? {} : { err: entry.err as Json }) } };
}

async function sendListeners({ world: { standIn, dir } }: Stage): Promise<void> {
  const { tcp, ws, wss } = standIn.ports;
  const text = `listeners {
  tcp.default { enable = false, bind = "127.0.0.1:${tcp}" }
  ws.default { enable = false, bind = "127.0.0.1:${ws}" }
  wss.default { enable = false, bind = "127.0.0.1:${wss}" }
  ssl.default { bind = "127.0.0.1:${standIn.mqttPort}", max_connections = 15000
    ssl_options { cacertfile = "${dir}/etc/ca.crt", certfile = "${dir}/etc/tls.crt", keyfile = "${dir}/etc/tls.key"
      verify = verify_peer, fail_if_no_peer_cert = true, depth = 2, reuse_sessions = false } } }`;
  const { status, text: said } = await standIn.request('PUT', '/configs', { text, headers: { 'content-type': 'text/plain' } });
  if (status !== 200) throw new Error(`the listeners were refused: ${status} ${said}`);
}
