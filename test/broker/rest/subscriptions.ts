/** Subscriptions over all clients, and the filters that are routed. */

import type { JsonObject } from '../config.ts';
import { matches } from '../topic.ts';
import type { Subscriber } from '../topic-tree.ts';
import { type Context, type Handler, ok, type Route } from './http.ts';
import { pageOf, readPage } from './schema.ts';

export function subscriptionRow({ session, raw, options }: Subscriber, node: string): JsonObject {
  const { qos, nl, rap, rh } = options;
  return { clientid: session.id, durable: false, nl: nl ? 1 : 0, node, qos, rap: rap ? 1 : 0, rh, topic: raw };
}

function all({ broker }: Context): Subscriber[] {
  return [...broker.sessions.values()].flatMap((session) => [...session.subscriptions.values()]);
}

/** `match_topic` is a filter that covers the subscriptions wanted: a plain topic does not find the wildcards that match it. */
const list: Handler = ({ query }, context) => {
  const page = readPage(query);
  if ('status' in page) return page;
  const is = (name: string, value: string | undefined) => !query.has(name) || query.get(name) === value;
  const covering = query.get('match_topic');
  const rows = all(context).filter(
    (one) =>
      is('clientid', one.session.id) &&
      is('topic', one.raw) &&
      is('qos', String(one.options.qos)) &&
      is('share_group', one.group) &&
      (covering === null || matches(one.filter, covering)),
  );
  return ok(
    pageOf(
      rows.map((one) => subscriptionRow(one, context.node)),
      page,
      { count: covering === null },
    ),
  );
};

const topics: Handler = ({ query }, context) => {
  const page = readPage(query);
  if ('status' in page) return page;
  const filters = [...new Set(all(context).map((one) => one.filter))].filter(
    (filter) => !query.has('topic') || query.get('topic') === filter,
  );
  return ok(
    pageOf(
      filters.sort().map((topic) => ({ node: context.node, topic })),
      page,
    ),
  );
};

export const SUBSCRIPTION_ROUTES: Route[] = [
  { method: 'GET', path: '/api/v5/subscriptions', handler: list },
  { method: 'GET', path: '/api/v5/topics', handler: topics },
];
