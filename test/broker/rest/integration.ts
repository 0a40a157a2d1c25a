/** Connectors, actions and rules: what an event feed needs (recorded in events.json). */

import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../config.ts';
import { merge } from '../hocon.ts';
import { readSql, SqlError } from '../rule-sql.ts';
import { isObject } from './authz-settings.ts';
import { timestamp } from './client-row.ts';
import { bad, type Context, type Handler, NO_CONTENT, ok, type Response, type Route } from './http.ts';

const API = '/api/v5';

const CONNECTOR_DEFAULTS: JsonObject = {
  connect_timeout: '15s',
  description: '',
  enable: true,
  enable_pipelining: 100,
  headers: {},
  pool_size: 8,
  pool_type: 'random',
  resource_opts: { health_check_interval: '15s', start_after_created: true, start_timeout: '5s' },
  ssl: {
    ciphers: [],
    depth: 10,
    enable: false,
    hibernate_after: '5s',
    log_level: 'notice',
    reuse_sessions: true,
    secure_renegotiate: true,
    verify: 'verify_none',
    versions: ['tlsv1.3', 'tlsv1.2'],
  },
};

const ACTION_DEFAULTS: JsonObject = {
  description: '',
  enable: true,
  parameters: { headers: {}, max_retries: 2, method: 'post' },
  resource_opts: {
    health_check_interval: '15s',
    inflight_window: 100,
    max_buffer_bytes: '256MB',
    query_mode: 'async',
    request_ttl: '45s',
    worker_pool_size: 16,
  },
};

type Kind = {
  name: 'connectors' | 'actions';
  exists: string;
  read: (body: JsonObject) => JsonObject;
  show: (id: string, stored: JsonObject, context: Context) => JsonObject;
  refuseDelete: (id: string, context: Context) => Response | undefined;
};

const CONNECTORS: Kind = {
  name: 'connectors',
  exists: 'connector already exists',
  read: (body) => merge(CONNECTOR_DEFAULTS, body) as JsonObject,
  show: (id, stored, { broker, node }) => {
    const actions = Object.entries(broker.config.actions).filter(
      ([action, { connector }]) => `${typeOf(action)}:${String(connector)}` === id,
    );
    const status = { node_status: [{ node, status: 'connected' }], status: 'connected' };
    return { actions: actions.map(([action]) => nameOf(action)), sources: [], ...status, ...stored, ssl: withFile(id, stored.ssl) };
  },
  refuseDelete: (id, { broker }) => {
    const used = Object.entries(broker.config.actions).find(([action, { connector }]) => `${typeOf(action)}:${String(connector)}` === id);
    if (!used) return undefined;
    const reason = '{<<"Cannot delete connector while there are active channels defined for this connector">>';
    return bad('BAD_REQUEST', `${reason},[{<<"action:${used[0]}:connector:${id}">>,#{}}]}`);
  },
};

const ACTIONS: Kind = {
  name: 'actions',
  exists: 'bridge already exists',
  read: (body) => ({ ...(merge(ACTION_DEFAULTS, body) as JsonObject), created_at: Date.now(), last_modified_at: Date.now() }),
  show: (id, stored, { broker, node }) => {
    const rules = Object.entries(broker.config.rules).filter(([, rule]) => (rule.actions as Json[]).includes(id));
    const fine = { status: 'connected', status_reason: '' };
    return { error: '', node_status: [{ node, ...fine }], rules: rules.map(([rule]) => rule).sort(), ...fine, ...stored };
  },
  refuseDelete: () => undefined,
};

/** PEM that was sent inline is kept in a file, and the file is shown (emqx.md §1.7; of connectors not recorded). */
function withFile(id: string, ssl: Json | undefined): Json {
  if (!isObject(ssl) || typeof ssl.cacertfile !== 'string' || !ssl.cacertfile.includes('-----BEGIN')) return ssl ?? {};
  return { ...ssl, cacertfile: `certs/connectors/${id}/cacert-${createHash('sha256').update(ssl.cacertfile).digest('hex').slice(0, 16)}` };
}

function typeOf(id: string): string {
  return id.split(':')[0] ?? '';
}

function nameOf(id: string): string {
  return id.split(':')[1] ?? '';
}

const routesOf = (kind: Kind): Route[] => {
  const missing = (id: string) => bad('NOT_FOUND', `${kind.name === 'actions' ? 'Bridge' : 'Connector'} lookup failed: ${id}`, 404);
  const post: Handler = ({ body }, context) => {
    if (!isObject(body) || typeof body.type !== 'string') return { status: 500 };
    const id = `${body.type}:${String(body.name)}`;
    const stored = context.broker.config[kind.name];
    if (Object.hasOwn(stored, id)) return bad('ALREADY_EXISTS', kind.exists);
    const record = kind.read(body);
    stored[id] = record;
    context.saveConfig();
    return { status: 201, body: kind.show(id, record, context) };
  };
  const put: Handler = ({ params, body }, context) => {
    const id = params.id ?? '';
    const stored = context.broker.config[kind.name];
    if (!Object.hasOwn(stored, id)) return missing(id);
    const record = { ...kind.read(isObject(body) ? body : {}), type: typeOf(id), name: nameOf(id) };
    stored[id] = record;
    context.saveConfig();
    return ok(kind.show(id, record, context));
  };
  const getOne: Handler = ({ params }, context) => {
    const record = own(context.broker.config[kind.name], params.id ?? '');
    return record ? ok(kind.show(params.id ?? '', record, context)) : missing(params.id ?? '');
  };
  const deleteOne: Handler = ({ params }, context) => {
    const id = params.id ?? '';
    if (!own(context.broker.config[kind.name], id)) return missing(id);
    const refused = kind.refuseDelete(id, context);
    if (refused) return refused;
    delete context.broker.config[kind.name][id];
    context.saveConfig();
    return NO_CONTENT;
  };
  const list: Handler = (_request, context) =>
    ok(Object.entries(context.broker.config[kind.name]).map(([id, record]) => kind.show(id, record, context)));
  return [
    { method: 'GET', path: `${API}/${kind.name}`, handler: list },
    { method: 'POST', path: `${API}/${kind.name}`, handler: post },
    { method: 'GET', path: `${API}/${kind.name}/:id`, handler: getOne },
    { method: 'PUT', path: `${API}/${kind.name}/:id`, handler: put },
    { method: 'DELETE', path: `${API}/${kind.name}/:id`, handler: deleteOne },
  ];
};

function own(records: Record<string, JsonObject>, id: string): JsonObject | undefined {
  return Object.hasOwn(records, id) ? records[id] : undefined;
}

/** Writes the rule whether it was there or not; actions that do not exist are taken as they are named. */
function writeRule(id: string, body: JsonObject, { broker, rules, saveConfig }: Context): Response {
  const sql = String(body.sql ?? '');
  let from: string[];
  try {
    from = readSql(sql).from;
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const reason = `reason => {parse_error,{${error.message}}},value => <<"${sql}">>`;
    return bad('BAD_REQUEST', `Bad Arguments: #{kind => validation_error,path => "rule_engine.rules.${id}.sql",${reason}}`);
  }
  const now = timestamp(Date.now());
  const created = own(broker.config.rules, id)?.created_at ?? now;
  const rule: JsonObject = {
    actions: Array.isArray(body.actions) ? body.actions : [],
    created_at: created,
    description: typeof body.description === 'string' ? body.description : '',
    enable: body.enable !== false,
    from,
    id,
    last_modified_at: now,
    name: typeof body.name === 'string' ? body.name : '',
    sql,
  };
  broker.config.rules[id] = rule;
  saveConfig();
  rules.reload();
  return ok(rule);
}

const NO_RULE = bad('NOT_FOUND', 'Rule Id Not Found', 404);

const RULE_ROUTES: Route[] = [
  {
    method: 'GET',
    path: `${API}/rules`,
    handler: (_request, { broker }) => {
      const data = Object.values(broker.config.rules);
      return ok({ data, meta: { count: data.length, hasnext: false, limit: 100, page: 1 } });
    },
  },
  {
    method: 'POST',
    path: `${API}/rules`,
    handler: ({ body }, context) => {
      const given = isObject(body) ? body : {};
      const id = typeof given.id === 'string' ? given.id : `rule_${context.broker.nextMessageId().slice(-8).toLowerCase()}`;
      if (own(context.broker.config.rules, id)) return bad('BAD_REQUEST', 'rule id already exists');
      const written = writeRule(id, given, context);
      return written.status === 200 ? { ...written, status: 201 } : written;
    },
  },
  { method: 'GET', path: `${API}/rules/:id`, handler: ({ params }, { broker }) => ok404(own(broker.config.rules, params.id ?? '')) },
  {
    method: 'PUT',
    path: `${API}/rules/:id`,
    handler: ({ params, body }, context) => writeRule(params.id ?? '', isObject(body) ? body : {}, context),
  },
  {
    method: 'DELETE',
    path: `${API}/rules/:id`,
    handler: ({ params }, { broker, rules, saveConfig }) => {
      if (!own(broker.config.rules, params.id ?? '')) return NO_RULE;
      delete broker.config.rules[params.id ?? ''];
      saveConfig();
      rules.reload();
      return NO_CONTENT;
    },
  },
];

function ok404(rule: JsonObject | undefined): Response {
  return rule ? ok(rule) : NO_RULE;
}

export const INTEGRATION_ROUTES: Route[] = [...routesOf(CONNECTORS), ...routesOf(ACTIONS), ...RULE_ROUTES];
