/** Metrics in Prometheus' text format, readable by anybody up to 6.2 (emqx_prometheus_api). */

import type { JsonObject } from '../config.ts';
import type { Context, Handler, Route } from './http.ts';
import { gauges } from './status.ts';

type Row = JsonObject & { type: string };

function authzRows({ broker }: Context): Row[] {
  const { clients, users } = broker.tables;
  return broker.config.sources.map((source) => {
    const metrics = broker.authorizer.metrics[source.type];
    return {
      emqx_authz_allow: metrics.allow,
      emqx_authz_deny: metrics.deny,
      emqx_authz_enable: source.enable ? 1 : 0,
      emqx_authz_nomatch: metrics.nomatch,
      emqx_authz_rules_count:
        source.type === 'file' ? broker.authorizer.fileRules : clients.size + users.size + (broker.tables.all.length > 0 ? 1 : 0),
      emqx_authz_status: 1,
      emqx_authz_total: metrics.total,
      type: source.type,
    };
  });
}

const NAMES = ['enable', 'status', 'nomatch', 'total', 'allow', 'deny', 'rules_count'].map((name) => `emqx_authz_${name}`);

const auth: Handler = ({ query, headers }, context) => {
  const rows = authzRows(context);
  const banned = context.broker.tables.bans.size;
  if (headers.accept?.includes('application/json'))
    return { status: 200, body: { emqx_authn: [], emqx_authz: rows, emqx_banned: { emqx_banned_count: banned } } };
  const perNode = query.get('mode') === 'all_nodes_unaggregated';
  const lines = NAMES.flatMap((name) => [
    `# TYPE ${name} ${name.endsWith('enable') || name.endsWith('status') ? 'gauge' : 'counter'}`,
    `# HELP ${name} `,
    ...rows.map((row) => {
      const node = perNode && name !== 'emqx_authz_rules_count' ? `node="${context.node}",` : '';
      return `${name}{${node}type="${row.type}"} ${row[name]}`;
    }),
  ]);
  return text([...lines, '# TYPE emqx_banned_count gauge', '# HELP emqx_banned_count ', `emqx_banned_count ${banned}`]);
};

function text(lines: string[]) {
  return { status: 200, type: 'text/plain', text: `${lines.join('\n')}\n` };
}

const stats: Handler = (_request, { broker }) => {
  const { allow, deny, nomatch, cache_hit, cache_miss, superuser } = broker.authorizer.counters;
  const counters = { allow, deny, nomatch, cache_hit, cache_miss, superuser };
  return text([
    ...Object.entries(gauges(broker)).flatMap(([name, value]) => {
      const shown = `emqx_${name.replaceAll('.', '_')}`;
      return [`# TYPE ${shown}_count gauge`, `${shown}_count ${value}`, `# TYPE ${shown}_max gauge`, `${shown}_max ${value}`];
    }),
    ...Object.entries(counters).flatMap(([name, value]) => [
      `# TYPE emqx_authorization_${name} counter`,
      `emqx_authorization_${name} ${value}`,
    ]),
  ]);
};

const integration: Handler = (_request, { broker: { config } }) =>
  text([
    `emqx_rules_count ${Object.keys(config.rules).length}`,
    `emqx_actions_count ${Object.keys(config.actions).length}`,
    `emqx_connectors_count ${Object.keys(config.connectors).length}`,
  ]);

const PATH = '/api/v5/prometheus';

export const PROMETHEUS_ROUTES: Route[] = [
  { method: 'GET', path: `${PATH}/auth`, handler: auth, auth: false },
  { method: 'GET', path: `${PATH}/stats`, handler: stats, auth: false },
  { method: 'GET', path: `${PATH}/data_integration`, handler: integration, auth: false },
];
