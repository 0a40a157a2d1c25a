/** Settings of the authorization chain, and the caches of its answers. */

import { durationMs, type Json, type JsonObject, type Settings } from '../config.ts';
import { bad, type Handler, internalError, invalid, NO_CONTENT, ok, type Route } from './http.ts';

const API = '/api/v5';

const put: Handler = (request, { broker, saveConfig }) => {
  const body = isObject(request.body) ? request.body : {};
  const { cache, deny_action, no_match } = body;
  if (!isObject(cache)) return invalid({ reason: 'required_field', path: 'cache' });
  for (const [path, value, symbols] of [
    ['deny_action', deny_action, ['ignore', 'disconnect']],
    ['no_match', no_match, ['allow', 'deny']],
  ] as const) {
    if (value !== undefined && !(symbols as readonly Json[]).includes(value)) return invalid({ value, reason: 'not_a_enum_symbol', path });
  }
  if (cache.ttl !== undefined && durationMs(cache.ttl) === undefined)
    return invalid({ value: cache.ttl, reason: 'Not a valid duration', path: 'cache.ttl' });
  if (no_match === undefined || deny_action === undefined)
    return internalError('error, function_clause, [{emqx_authz_api_settings,settings,[put', request);
  const settings: Settings = {
    cache: { enable: true, excludes: [], max_size: 32, ttl: '1m', ...(cache as Partial<Settings['cache']>) },
    deny_action: String(deny_action),
    no_match: String(no_match),
  };
  // The caches are not drained by this: only a source's change or DELETE /authorization/cache does that.
  broker.config.authorization = settings;
  saveConfig();
  return ok(settings);
};

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const clearAll: Handler = (_request, { broker }) => {
  broker.authorizer.drain();
  return NO_CONTENT;
};

export const AUTHZ_SETTINGS_ROUTES: Route[] = [
  { method: 'GET', path: `${API}/authorization/settings`, handler: (_request, { broker }) => ok(broker.config.authorization) },
  { method: 'PUT', path: `${API}/authorization/settings`, handler: put },
  { method: 'DELETE', path: `${API}/authorization/cache`, handler: clearAll },
  {
    method: 'GET',
    path: `${API}/clients/:clientid/authorization/cache`,
    handler: ({ params }, { broker }) => {
      const connection = broker.sessions.get(params.clientid ?? '')?.connection;
      return connection ? ok(broker.authorizer.cached(connection.cache)) : UNKNOWN_CLIENT;
    },
  },
  {
    method: 'DELETE',
    path: `${API}/clients/:clientid/authorization/cache`,
    handler: ({ params }, { broker }) => {
      const connection = broker.sessions.get(params.clientid ?? '')?.connection;
      connection?.cache.clear();
      return connection ? NO_CONTENT : UNKNOWN_CLIENT;
    },
  },
];

export const UNKNOWN_CLIENT = bad('CLIENTID_NOT_FOUND', 'Client ID not found', 404);
