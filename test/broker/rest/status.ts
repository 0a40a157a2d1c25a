/** How the broker is: status, nodes, statistics, alarms. */

import { freemem, loadavg, totalmem } from 'node:os';
import type { JsonObject } from '../config.ts';
import { bad, type Context, type Handler, ok, type Response, type Route } from './http.ts';
import { METRIC_NAMES } from './metric-names.ts';
import { pageOf } from './schema.ts';

const API = '/api/v5';

const status: Handler = (request, { node, version }) => {
  const headers = { 'retry-after': '15' };
  if (request.query.get('format') === 'json')
    return { status: 200, headers, body: { rel_vsn: `v${version}`, node_name: node, broker_status: 'started', app_status: 'running' } };
  return { status: 200, headers, type: 'text/plain', text: `Node ${node} is started\nemqx is running` };
};

function nodeRow({ broker, node, version }: Context): JsonObject {
  const [load1 = 0, load5 = 0, load15 = 0] = loadavg().map((load) => Math.round(load * 100) / 100);
  const live = liveConnections(broker);
  return {
    cluster_sessions: broker.sessions.size,
    connections: broker.sessions.size,
    edition: 'Opensource',
    live_connections: live,
    load1,
    load15,
    load5,
    log_path: 'log.file.enable is false, not logging to file.',
    max_fds: 20000,
    memory_total: `${(totalmem() / 1024 ** 3).toFixed(2)}G`,
    memory_used: `${((totalmem() - freemem()) / 1024 ** 2).toFixed(2)}M`,
    node,
    node_status: 'running',
    otp_release: '25.2.3/13.1.5',
    process_available: 2097152,
    process_used: 391 + 4 * live,
    role: 'core',
    sys_path: '/opt/emqx',
    // The operator reads a shrinking uptime as a restart.
    uptime: Date.now() - broker.startedAt,
    version,
  };
}

export function liveConnections(broker: Context['broker']): number {
  return [...broker.connections].filter((connection) => connection.client).length;
}

function oneNode(name: string, context: Context): Response {
  return name === context.node ? ok(nodeRow(context)) : bad('NOT_FOUND', `Node not found: ${name}`, 404);
}

/** `.count` and `.max` of each gauge; the highest value ever seen is not kept here, so both are the present one. */
export function gauges(broker: Context['broker']): Record<string, number> {
  const shared = [...broker.sessions.values()].flatMap((session) => [...session.subscriptions.values()].filter((sub) => sub.group));
  const filters = new Set([...broker.sessions.values()].flatMap((session) => [...session.subscriptions.values()].map((sub) => sub.filter)));
  return {
    channels: broker.sessions.size,
    cluster_sessions: broker.sessions.size,
    connections: broker.sessions.size,
    delayed: broker.delayed.size,
    live_connections: liveConnections(broker),
    retained: broker.retained.size,
    sessions: broker.sessions.size,
    suboptions: broker.tree.size,
    subscribers: [...broker.sessions.values()].filter((session) => session.subscriptions.size > 0).length,
    subscriptions: broker.tree.size,
    'subscriptions.shared': shared.length,
    topics: filters.size,
  };
}

const stats: Handler = (_request, { broker, node }) => {
  const row = Object.entries(gauges(broker)).flatMap(([name, value]) => [
    [`${name}.count`, value],
    [`${name}.max`, value],
  ]);
  return ok([{ ...Object.fromEntries(row), node }]);
};

/** Counters that the stand-in does not keep stay 0. */
const metrics: Handler = (request, { broker, node }) => {
  const counted = broker.counters();
  const row = Object.fromEntries(METRIC_NAMES.map((name) => [name, counted[name] ?? 0]));
  return ok(request.query.get('aggregate') === 'true' ? row : [{ ...row, node }]);
};

export const STATUS_ROUTES: Route[] = [
  { method: 'GET', path: '/status', handler: status, auth: false },
  { method: 'GET', path: `${API}/status`, handler: status, auth: false },
  { method: 'GET', path: `${API}/nodes`, handler: (_request, context) => ok([nodeRow(context)]) },
  { method: 'GET', path: `${API}/nodes/:node`, handler: (request, context) => oneNode(request.params.node ?? '', context) },
  { method: 'GET', path: `${API}/cluster`, handler: (_request, { node }) => ok({ name: 'emqxcl', nodes: [node], self: node }) },
  { method: 'GET', path: `${API}/stats`, handler: stats },
  { method: 'GET', path: `${API}/metrics`, handler: metrics },
  { method: 'GET', path: `${API}/alarms`, handler: () => ok(pageOf([], { page: 1, limit: 100 })) },
  { method: 'GET', path: `${API}/slow_subscriptions`, handler: () => ok({ data: [] }) },
];
