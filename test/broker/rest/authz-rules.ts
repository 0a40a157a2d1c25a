/** Records of the built-in database: rules by client id, by user name, and for all (emqx_authz_api_mnesia). */

import type { Json, JsonObject } from '../config.ts';
import type { RuleRecord } from '../tables.ts';
import { bad, type Context, type Handler, internalError, invalid, NO_CONTENT, ok, type Response, type Route } from './http.ts';
import { arrayOf, boolean, checkFields, type Fields, oneOf, pageOf, qos, readPage } from './schema.ts';

const RULES = '/api/v5/authorization/sources/built_in_database/rules';

type Kind = { table: 'client' | 'user'; id: 'clientid' | 'username'; like: string; label: string; gone: string };
const CLIENTS: Kind = { table: 'client', id: 'clientid', like: 'like_clientid', label: 'Client', gone: 'ClientID Not Found' };
const USERS: Kind = { table: 'user', id: 'username', like: 'like_username', label: 'User', gone: 'Username Not Found' };

const RULE_FIELDS: Fields = {
  topic: { required: true },
  permission: { required: true, check: oneOf('allow', 'deny') },
  action: { required: true, check: oneOf('publish', 'subscribe', 'all') },
  qos: { check: arrayOf(qos) },
  retain: { check: (value, path) => (value === 'all' ? undefined : boolean(value, path)) },
};
const rulesField = { required: true as const, check: arrayOf((rule, path) => checkFields(rule, RULE_FIELDS, path)) };
const recordFields = (kind: Kind): Fields => ({ [kind.id]: { required: true }, rules: rulesField });

/** As GET shows them: with the defaults that the writer left out. */
function stored(rules: Json | undefined): RuleRecord[] {
  return ((rules ?? []) as JsonObject[]).map((rule) => ({
    action: rule.action as RuleRecord['action'],
    permission: rule.permission as RuleRecord['permission'],
    qos: (rule.qos as number[] | undefined) ?? [0, 1, 2],
    retain: (rule.retain as RuleRecord['retain'] | undefined) ?? 'all',
    topic: String(rule.topic),
  }));
}

/** Every call needs the source to be configured, though not enabled. */
function withSource(handler: (request: Parameters<Handler>[0], context: Context, maxRules: number) => Response): Handler {
  return (request, context) => {
    const source = context.broker.config.sources.find((one) => one.type === 'built_in_database');
    if (source?.type !== 'built_in_database') return bad('NOT_FOUND', 'Not found: built_in_database', 404);
    return handler(request, context, source.max_rules);
  };
}

function recordsOf({ broker }: Context, kind: Kind): Map<string, RuleRecord[]> {
  return kind.table === 'client' ? broker.tables.clients : broker.tables.users;
}

const list = (kind: Kind) =>
  withSource(({ query }, context) => {
    const page = readPage(query);
    if ('status' in page) return page;
    const like = query.get(kind.like);
    // An ordered set, read from its end.
    const rows = [...recordsOf(context, kind)]
      .filter(([id]) => like === null || id.includes(like))
      .sort(([a], [b]) => (a < b ? 1 : -1))
      .map(([id, rules]) => ({ [kind.id]: id, rules }));
    return ok(pageOf(rows, page, { count: like === null }));
  });

const getOne = (kind: Kind) =>
  withSource(({ params }, context) => {
    const rules = recordsOf(context, kind).get(params.id ?? '');
    return rules ? ok({ [kind.id]: params.id ?? '', rules }) : bad('NOT_FOUND', 'Not Found', 404);
  });

/** All or nothing as to what exists already; the same id twice in one batch: the last one stays. */
const postMany = (kind: Kind) =>
  withSource(({ body }, context, maxRules) => {
    const wrong = arrayOf((item, path) => checkFields(item, recordFields(kind), path))(body ?? null, 'root');
    if (wrong) return invalid(wrong);
    const items = body as JsonObject[];
    const records = recordsOf(context, kind);
    const taken = items.find((item) => records.has(String(item[kind.id])));
    if (taken) return bad('ALREADY_EXISTS', `${kind.label} '${String(taken[kind.id])}' already exist`, 409);
    const long = items.find((item) => (item.rules as Json[]).length > maxRules);
    if (long) return bad('BAD_REQUEST', `The rules length of ${kind.label} '${String(long[kind.id])}' exceeds the maximum limit.`);
    for (const item of items) context.broker.tables.putRules(kind.table, String(item[kind.id]), stored(item.rules));
    return NO_CONTENT;
  });

/** Upsert. Nothing of it reaches the caches of the connections. */
const putOne = (kind: Kind) =>
  withSource((request, context, maxRules) => {
    const { params, body } = request;
    const wrong = checkFields(body, recordFields(kind), 'root');
    if (wrong) return invalid(wrong);
    const record = body as JsonObject;
    if (record[kind.id] !== params.id)
      return internalError(`error, function_clause, [{emqx_authz_api_mnesia,${kind.label.toLowerCase()},[put`, request);
    if ((record.rules as Json[]).length > maxRules) return bad('BAD_REQUEST', 'The rules length exceeds the maximum limit.');
    context.broker.tables.putRules(kind.table, params.id ?? '', stored(record.rules));
    return NO_CONTENT;
  });

const deleteOne = (kind: Kind) =>
  withSource(({ params }, context) => {
    if (!recordsOf(context, kind).has(params.id ?? '')) return bad('NOT_FOUND', kind.gone, 404);
    context.broker.tables.putRules(kind.table, params.id ?? '', null);
    return NO_CONTENT;
  });

const postAll = withSource(({ body }, { broker }, maxRules) => {
  const wrong = checkFields(body, { rules: rulesField }, 'root');
  if (wrong) return invalid(wrong);
  const rules = stored((body as JsonObject).rules);
  if (rules.length > maxRules) return bad('BAD_REQUEST', 'The rules length exceeds the maximum limit.');
  broker.tables.putAll(rules);
  return NO_CONTENT;
});

const deleteAll = withSource((_request, { broker }) => {
  broker.tables.putAll([]);
  return NO_CONTENT;
});

const purge = withSource((_request, { broker }) => {
  if (broker.config.sources.some((source) => source.type === 'built_in_database' && source.enable))
    return bad('BAD_REQUEST', "'built_in_database' type source must be disabled before purge.");
  broker.tables.clearRules();
  return NO_CONTENT;
});

const routesOf = (kind: Kind, name: string): Route[] => [
  { method: 'GET', path: `${RULES}/${name}`, handler: list(kind) },
  { method: 'POST', path: `${RULES}/${name}`, handler: postMany(kind) },
  { method: 'GET', path: `${RULES}/${name}/:id`, handler: getOne(kind) },
  { method: 'PUT', path: `${RULES}/${name}/:id`, handler: putOne(kind) },
  { method: 'DELETE', path: `${RULES}/${name}/:id`, handler: deleteOne(kind) },
];

export const AUTHZ_RULE_ROUTES: Route[] = [
  ...routesOf(CLIENTS, 'clients'),
  ...routesOf(USERS, 'users'),
  { method: 'GET', path: `${RULES}/all`, handler: withSource((_request, { broker }) => ok({ rules: broker.tables.all })) },
  { method: 'POST', path: `${RULES}/all`, handler: postAll },
  { method: 'DELETE', path: `${RULES}/all`, handler: deleteAll },
  { method: 'DELETE', path: RULES, handler: purge },
];
