/** The authorization sources: the ACL text and the table of rules (emqx_authz_api_sources). */

import { compileAcl } from '../acl-rule.ts';
import type { Json, JsonObject, Source } from '../config.ts';
import { isObject } from './authz-settings.ts';
import { bad, type Context, type Handler, invalid, NO_CONTENT, ok, type Response, type Route } from './http.ts';
import { boolean, checkFields, type Fields } from './schema.ts';

const SOURCES = '/api/v5/authorization/sources';
const TYPES = ['file', 'built_in_database', 'http', 'jwt', 'mysql', 'postgresql', 'mongodb', 'redis', 'ldap', 'client_info'];

const list: Handler = (_request, { broker }) => ok({ sources: broker.config.sources.map(shown) });

function shown(source: Source): JsonObject {
  return { ...source };
}

const getOne: Handler = ({ params }, { broker }) => {
  const found = find(broker, params.type ?? '');
  return 'status' in found ? found : ok(shown(found));
};

function find(broker: Context['broker'], type: string): Source | Response {
  if (!TYPES.includes(type)) return invalid({ value: type, reason: 'not_a_enum_symbol', path: 'type' });
  return broker.config.sources.find((source) => source.type === type) ?? bad('NOT_FOUND', `Not found: ${type}`, 404);
}

const SCHEMAS: Record<string, { fields: Fields; matched: string }> = {
  file: { fields: { type: {}, enable: { check: boolean }, rules: { required: true } }, matched: 'authz:api_file' },
  built_in_database: { fields: { type: {}, enable: { check: boolean }, max_rules: {} }, matched: 'authz:mnesia' },
};

/** The source that the body describes, or why it is refused. Without `type` EMQX has no schema to try and crashes. */
function readSource(body: Json | undefined): Source | Response {
  if (!isObject(body) || typeof body.type !== 'string') return { status: 500 };
  const schema = SCHEMAS[body.type];
  if (!schema) return bad('BAD_REQUEST', `the stand-in has no source of type ${body.type}`);
  const wrong = checkFields(body, schema.fields, 'root');
  if (wrong) return invalid({ ...wrong, matched_type: schema.matched });
  const enable = body.enable !== false;
  if (body.type === 'built_in_database')
    return { type: 'built_in_database', enable, max_rules: typeof body.max_rules === 'number' ? body.max_rules : 100 };
  const rules = String(body.rules);
  const acl = compileAcl(rules);
  // The old text stays in force.
  return acl.ok ? { type: 'file', enable, rules } : bad('BAD_REQUEST', acl.error);
}

function changed({ broker, saveConfig }: Context): Response {
  broker.authorizer.reload();
  saveConfig();
  return NO_CONTENT;
}

const putOne: Handler = ({ params, body }, context) => {
  const { sources } = context.broker.config;
  const type = params.type ?? '';
  // The body's schema is looked at before anybody asks whether such a source is there.
  if (isObject(body) && typeof body.type === 'string' && body.type !== type) return bad('BAD_REQUEST', 'Type mismatch');
  const known = find(context.broker, type);
  if ('status' in known && !(type in SCHEMAS)) return known;
  const source = readSource(body);
  if ('status' in source) return source;
  if ('status' in known) return known;
  sources[sources.indexOf(known)] = source;
  return changed(context);
};

const post: Handler = ({ body }, context) => {
  const source = readSource(body);
  if ('status' in source) return source;
  const { sources } = context.broker.config;
  if (sources.some((one) => one.type === source.type)) return bad('BAD_REQUEST', `{duplicated_authz_source_type,${source.type}}`);
  sources.unshift(source);
  return changed(context);
};

const deleteOne: Handler = ({ params }, context) => {
  const source = find(context.broker, params.type ?? '');
  if ('status' in source) return source;
  context.broker.config.sources = context.broker.config.sources.filter((one) => one !== source);
  if (source.type === 'built_in_database') context.broker.tables.clearRules();
  return changed(context);
};

const move: Handler = ({ params, body }, context) => {
  const source = find(context.broker, params.type ?? '');
  if ('status' in source) return source;
  const position = isObject(body) ? String(body.position) : '';
  const [, where, other] = /^(front|rear|before:(.+)|after:(.+))$/.exec(position) ?? [];
  if (where === undefined) return bad('BAD_REQUEST', '<<"Invalid parameter. Unknow position">>');
  const rest = context.broker.config.sources.filter((one) => one !== source);
  const anchor = rest.findIndex((one) => one.type === (other ?? position.split(':')[1]));
  const at = { front: 0, rear: rest.length }[where] ?? (where.startsWith('before') ? anchor : anchor + 1);
  if (at < 0 || (anchor < 0 && where.includes(':'))) return bad('BAD_REQUEST', 'The target source of the move is not there');
  context.broker.config.sources = rest.toSpliced(at, 0, source);
  return changed(context);
};

const order: Handler = ({ body }, context) => {
  const wanted = (Array.isArray(body) ? body : []).map((item) => (isObject(item) ? String(item.type) : ''));
  const { sources } = context.broker.config;
  const unknown = wanted.filter((type) => !sources.some((source) => source.type === type));
  const missing = sources.map((source) => source.type).filter((type) => !wanted.includes(type));
  const complaints = [
    unknown.length > 0 ? `Authorization sources: ${unknown.join(', ')} are not found` : '',
    missing.length > 0 ? `No positions are specified for authorization sources: ${missing.join(', ')}` : '',
  ].filter((text) => text !== '');
  if (complaints.length > 0) return bad('BAD_REQUEST', complaints.join(', '));
  context.broker.config.sources = sources.toSorted((a, b) => wanted.indexOf(a.type) - wanted.indexOf(b.type));
  return changed(context);
};

const status: Handler = ({ params }, { broker, node }) => {
  const source = find(broker, params.type ?? '');
  if ('status' in source) return source;
  const metrics = { ...broker.authorizer.metrics[source.type], rate: 0, rate_last5m: 0, rate_max: 0 };
  return ok({
    metrics,
    node_error: [],
    node_metrics: [{ metrics, node }],
    node_resource_metrics: [{ metrics: {}, node }],
    node_status: [{ node, status: 'connected' }],
    resource_metrics: {},
    status: 'connected',
  });
};

export const AUTHZ_SOURCE_ROUTES: Route[] = [
  { method: 'GET', path: SOURCES, handler: list },
  { method: 'POST', path: SOURCES, handler: post },
  { method: 'PUT', path: `${SOURCES}/order`, handler: order },
  { method: 'GET', path: `${SOURCES}/:type`, handler: getOne },
  { method: 'PUT', path: `${SOURCES}/:type`, handler: putOne },
  { method: 'DELETE', path: `${SOURCES}/:type`, handler: deleteOne },
  { method: 'POST', path: `${SOURCES}/:type/move`, handler: move },
  { method: 'GET', path: `${SOURCES}/:type/status`, handler: status },
];
