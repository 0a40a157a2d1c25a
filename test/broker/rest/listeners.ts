/** The listener API: what is open, on which terms, and changing it (emqx_mgmt_api_listeners). */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonObject, Listener, SslOptions } from '../config.ts';
import { ETC_DIR, SSL_DEFAULTS } from '../config-defaults.ts';
import { merge } from '../hocon.ts';
import { isObject } from './authz-settings.ts';
import { bad, type Context, type Handler, invalid, ok, type Response, type Route } from './http.ts';

const LISTENERS = '/api/v5/listeners';

/** No `ssl_options` here: whoever wants to know how a port verifies asks for the one listener. */
const list: Handler = (_request, { broker, listeners, node }) =>
  ok(
    Object.entries(broker.config.listeners)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { acceptors, bind, enable, max_connections, type }]): JsonObject => {
        const status = {
          current_connections: listeners.connections(id),
          max_connections: max_connections ?? 'infinity',
          running: listeners.running(id),
        };
        return {
          acceptors: acceptors ?? 16,
          bind,
          enable,
          id,
          name: id.split(':')[1] ?? '',
          node_status: [{ node, status }],
          number: 1,
          status,
          type,
        };
      }),
  );

function shown(id: string, listener: Listener, { listeners }: Context): JsonObject {
  return { ...listener, current_connections: listeners.connections(id), id, running: listeners.running(id) } as JsonObject;
}

const NOT_FOUND = bad('BAD_LISTENER_ID', 'Listener id not found', 404);

/** The listener, or the answer for an id that is none or not there. */
function find(id: string, { broker }: Context): Listener | Response {
  if (!/^(tcp|ssl|ws|wss|quic):[^:]+$/.test(id)) return invalid({ value: id, reason: `{invalid_listener_id,${id}}`, path: 'id' });
  return broker.config.listeners[id] ?? NOT_FOUND;
}

function isResponse(found: Listener | Response): found is Response {
  return 'status' in found;
}

const getOne: Handler = ({ params }, context) => {
  const id = params.id ?? '';
  const found = find(id, context);
  return isResponse(found) ? found : ok(shown(id, found, context));
};

/** Merged into what is there; only the check of `enable_crl_check` looks at the body alone, with defaults filled in. */
const putOne: Handler = async ({ params, body }, context) => {
  const { broker, listeners, saveConfig } = context;
  const id = params.id ?? '';
  if (!isObject(body) || !['tcp', 'ssl', 'ws', 'wss'].includes(String(body.type)))
    return invalid({ reason: 'unknown listener type', path: 'root', field_name: 'type' });
  const found = find(id, context);
  const refused = checkBody(body);
  if (refused) return refused;
  if (body.id !== id) return bad('BAD_LISTENER_ID', "Path and body's listener id not match");
  if (isResponse(found)) return found;
  const { id: _id, ...given } = body;
  const ssl = isObject(given.ssl_options) ? storeFiles(given.ssl_options, id, context.dataDir) : undefined;
  if (ssl && 'status' in ssl) return ssl as Response;
  const before = found;
  broker.config.listeners[id] = merge(found, ssl ? { ...given, ssl_options: ssl as JsonObject } : given) as Listener;
  try {
    await listeners.apply(id, before);
  } catch (error) {
    broker.config.listeners[id] = before;
    return bad('BAD_REQUEST', error instanceof Error ? error.message : String(error));
  }
  saveConfig();
  return ok(shown(id, broker.config.listeners[id], context));
};

function checkBody(body: JsonObject): Response | undefined {
  const given = isObject(body.ssl_options) ? body.ssl_options : {};
  const filled = { ...SSL_DEFAULTS, ...given };
  if (filled.enable_crl_check !== true || filled.verify === 'verify_peer') return undefined;
  const value = { ...filled, ...IN_MILLISECONDS, user_lookup_fun: '{fun emqx_tls_psk:lookup/3,undefined}' };
  return invalid({
    value,
    reason: 'verify must be verify_peer when CRL check is enabled',
    path: 'root.ssl_options',
    matched_type: 'listeners:ssl_not_required_bind',
  });
}

// The checked form of these defaults, as the error shows them.
const IN_MILLISECONDS: JsonObject = {
  handshake_timeout: 15000,
  hibernate_after: 5000,
  ocsp: { enable_ocsp_stapling: false, refresh_http_timeout: 15000, refresh_interval: 300000 },
};

const FILE_OPTIONS = { cacertfile: 'cacert', certfile: 'cert', keyfile: 'key' } as const;

/** PEM text in place of a path is kept as a file; a path must lead to one. */
function storeFiles(options: JsonObject, id: string, dataDir: string): Partial<SslOptions> | Response {
  const stored: JsonObject = { ...options };
  for (const [option, name] of Object.entries(FILE_OPTIONS)) {
    const value = options[option];
    if (typeof value !== 'string') continue;
    if (value.includes('-----BEGIN')) stored[option] = storePem(value, name, id, dataDir);
    else if (!existsSync(value) && !value.startsWith(ETC_DIR)) return bad('BAD_REQUEST', missingFile(value, option));
  }
  return stored as Partial<SslOptions>;
}

function storePem(pem: string, name: string, id: string, dataDir: string): string {
  const dir = join(dataDir, 'certs', 'listeners', ...id.split(':'));
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `${name}-${createHash('sha256').update(pem).digest('hex').slice(0, 16).toUpperCase()}`);
  writeFileSync(file, pem, { mode: 0o600 });
  return file;
}

function missingFile(path: string, option: string): string {
  return `{bad_ssl_config,#{file_path => "${path}",pem_check => enoent,\n                  which_option => <<"${option}">>}}`;
}

/** `start` of a listener that is not enabled does nothing; `restart` applies the configuration again and keeps live connections. */
const act: Handler = async ({ params }, context) => {
  const id = params.id ?? '';
  const found = find(id, context);
  if (isResponse(found)) return found;
  const { action = '' } = params;
  if (!['start', 'stop', 'restart'].includes(action)) return invalid({ value: action, reason: 'not_a_enum_symbol', path: 'action' });
  if (action === 'stop') await context.listeners.stop(id);
  else if (found.enable) {
    try {
      await context.listeners.start(id);
      if (action === 'restart') await context.listeners.apply(id, found);
    } catch (error) {
      return bad('BAD_REQUEST', error instanceof Error ? error.message : String(error));
    }
  }
  return { status: 200 } satisfies { status: number; body?: Json };
};

export const LISTENER_ROUTES: Route[] = [
  { method: 'GET', path: LISTENERS, handler: list },
  { method: 'GET', path: `${LISTENERS}/:id`, handler: getOne },
  { method: 'PUT', path: `${LISTENERS}/:id`, handler: putOne },
  { method: 'POST', path: `${LISTENERS}/:id/:action`, handler: act },
];
