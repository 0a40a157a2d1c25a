/** Who is connected, or has a session: queries, kicks, subscriptions (emqx_mgmt_api_clients). */

import type { Json, JsonObject } from '../config.ts';
import type { Session } from '../session.ts';
import { parseSubscription } from '../topic.ts';
import { UNKNOWN_CLIENT } from './authz-settings.ts';
import { CLIENT_FIELDS, clientRow } from './client-row.ts';
import { bad, type Context, type Handler, invalid, NO_CONTENT, ok, type Response, type Route } from './http.ts';
import { arrayOf, checkFields, type Fields, oneOf, pageOf, qos, readPage } from './schema.ts';
import { subscriptionRow } from './subscriptions.ts';

const CLIENTS = '/api/v5/clients';

/** Exact filters, and whether the session passes; an unknown filter is ignored, so that its caller gets the whole list. */
const EXACT: Record<string, (session: Session, value: string) => boolean> = {
  clientid: (session, value) => session.id === value,
  username: (session, value) => session.client.username === value,
  conn_state: (session, value) => (session.connection ? 'connected' : 'disconnected') === value,
  ip_address: (session, value) => session.client.peerhost === value,
  clean_start: (session, value) => String(session.client.cleanStart) === value,
  proto_ver: (session, value) => String(session.client.protocol) === value,
};
const LIKE: Record<string, (session: Session) => string> = {
  like_clientid: (session) => session.id,
  like_username: (session) => session.client.username ?? '',
};

function chosen(query: URLSearchParams, sessions: Iterable<Session>): Session[] {
  return [...sessions].filter(
    (session) =>
      Object.entries(EXACT).every(
        ([name, passes]) => query.getAll(name).length === 0 || query.getAll(name).some((value) => passes(session, value)),
      ) && Object.entries(LIKE).every(([name, read]) => !query.has(name) || read(session).includes(query.get(name) ?? '')),
  );
}

const list: Handler = ({ query }, context) => {
  const page = readPage(query);
  if ('status' in page) return page;
  const wrong = query.has('conn_state') && oneOf('connected', 'idle', 'disconnected')(query.get('conn_state') ?? '', 'conn_state');
  if (wrong) return invalid(wrong);
  const fields = readFields(query.get('fields'));
  if ('status' in fields) return fields;
  const fuzzy = Object.keys(LIKE).some((name) => query.has(name));
  const rows = chosen(query, context.broker.sessions.values());
  const data = pageOf(
    rows.map((session) => session.id),
    page,
    { count: !fuzzy },
  );
  // Only the rows of the page are spelt out: a list of 10,000 clients has 60 fields each.
  data.data = rows
    .slice((page.page - 1) * page.limit, page.page * page.limit)
    .map((session) => fields.pick(clientRow(session, context.node)));
  return ok(data);
};

function readFields(text: string | null): { pick: (row: JsonObject) => JsonObject } | Response {
  if (text === null || text === 'all') return { pick: (row) => row };
  const names = text.split(',');
  const unknown = names.findIndex((name) => !CLIENT_FIELDS.has(name));
  if (unknown < 0) return { pick: (row) => Object.fromEntries(names.flatMap((name) => (name in row ? [[name, row[name] ?? null]] : []))) };
  const kind = 'validation_error';
  const array = { value: names[unknown] ?? '', reason: 'not_a_enum_symbol', path: `fields.${unknown + 1}`, kind };
  const all = { value: names, reason: { expected: 'all' }, path: 'fields', kind };
  return invalid({ reason: 'matched_no_union_member', path: 'fields', mismatches: { array, all } });
}

/** `clients_v2` knows no fields and pages by a cursor, which a single page does not need. */
const listV2: Handler = ({ query }, { broker, node }) => {
  const page = readPage(query);
  if ('status' in page) return page;
  const rows = chosen(query, broker.sessions.values()).map((session) => clientRow(session, node));
  return ok({ data: rows.slice(0, page.limit), meta: { count: rows.length } });
};

function withSession(handler: (session: Session, context: Context, body: Json | undefined) => Response): Handler {
  return ({ params, body }, context) => {
    const session = context.broker.sessions.get(params.clientid ?? '');
    return session ? handler(session, context, body) : UNKNOWN_CLIENT;
  };
}

const kick: Handler = ({ params }, { broker }) => (broker.kick(params.clientid ?? '', { will: true }) ? NO_CONTENT : UNKNOWN_CLIENT);

const kickMany: Handler = ({ body }, { broker }) => {
  const wrong = arrayOf(() => undefined)(body ?? null, 'root');
  if (wrong) return invalid(wrong);
  for (const id of body as Json[]) broker.kick(String(id), { will: true });
  return NO_CONTENT;
};

const SUBSCRIBE_FIELDS: Fields = { topic: { required: true }, qos: { check: qos }, nl: {}, rap: {}, rh: {} };

/** Past the ACL: nobody asks whether the client may (recorded). */
function subscribe(session: Session, { broker, node }: Context, item: JsonObject): JsonObject | undefined {
  const raw = String(item.topic);
  const parsed = parseSubscription(raw);
  if (!parsed) return undefined;
  const options = { qos: (item.qos ?? 0) as 0 | 1 | 2, nl: item.nl === 1, rap: item.rap === 1, rh: Number(item.rh ?? 0) };
  const subscriber = { session, raw, ...parsed, options };
  broker.subscribe(session, subscriber);
  const { durable: _durable, ...row } = subscriptionRow(subscriber, node);
  return row;
}

const subscribeOne = withSession((session, context, body) => {
  const wrong = checkFields(body, SUBSCRIBE_FIELDS, 'root');
  if (wrong) return invalid(wrong);
  const row = subscribe(session, context, body as JsonObject);
  return row ? ok(row) : bad('INVALID_PARAMETER', 'bad topic filter');
});

const subscribeMany = withSession((session, context, body) => {
  const wrong = arrayOf((item, path) => checkFields(item, SUBSCRIBE_FIELDS, path))(body ?? null, 'root');
  if (wrong) return invalid(wrong);
  return ok((body as JsonObject[]).flatMap((item) => subscribe(session, context, item) ?? []));
});

const UNSUBSCRIBE_FIELDS: Fields = { topic: { required: true } };

const unsubscribeOne = withSession((session, { broker }, body) => {
  const wrong = checkFields(body, UNSUBSCRIBE_FIELDS, 'root');
  if (wrong) return invalid(wrong);
  broker.unsubscribe(session, String((body as JsonObject).topic));
  return NO_CONTENT;
});

const unsubscribeMany = withSession((session, { broker }, body) => {
  const wrong = arrayOf((item, path) => checkFields(item, UNSUBSCRIBE_FIELDS, path))(body ?? null, 'root');
  if (wrong) return invalid(wrong);
  for (const item of body as JsonObject[]) broker.unsubscribe(session, String(item.topic));
  return NO_CONTENT;
});

export const CLIENT_ROUTES: Route[] = [
  { method: 'GET', path: CLIENTS, handler: list },
  { method: 'GET', path: '/api/v5/clients_v2', handler: listV2 },
  { method: 'POST', path: `${CLIENTS}/kickout/bulk`, handler: kickMany },
  { method: 'GET', path: `${CLIENTS}/:clientid`, handler: withSession((session, { node }) => ok(clientRow(session, node))) },
  { method: 'DELETE', path: `${CLIENTS}/:clientid`, handler: kick },
  {
    method: 'GET',
    path: `${CLIENTS}/:clientid/subscriptions`,
    handler: withSession((session, { node }) => ok([...session.subscriptions.values()].map((one) => subscriptionRow(one, node)))),
  },
  { method: 'POST', path: `${CLIENTS}/:clientid/subscribe`, handler: subscribeOne },
  { method: 'POST', path: `${CLIENTS}/:clientid/subscribe/bulk`, handler: subscribeMany },
  { method: 'POST', path: `${CLIENTS}/:clientid/unsubscribe`, handler: unsubscribeOne },
  { method: 'POST', path: `${CLIENTS}/:clientid/unsubscribe/bulk`, handler: unsubscribeMany },
];
