/** Rules that turn events into HTTP requests (emqx_rule_engine). Like EMQX's, a feed is a hint: what cannot be sent is lost. */

import http from 'node:http';
import https from 'node:https';
import type { Broker, BrokerEvent } from './broker.ts';
import type { JsonObject } from './config.ts';
import { type RuleSql, readSql } from './rule-sql.ts';

const TOPICS: Record<string, string> = {
  'client.connected': '$events/client_connected',
  'client.disconnected': '$events/client_disconnected',
  'client.check_authz_complete': '$events/client_check_authz_complete',
};
const TIMEOUT_MS = 5_000;

type Rule = RuleSql & { id: string; actions: string[] };

export class RuleEngine {
  readonly #broker: Broker;
  // One connection: events arrive in the order in which they happened.
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  readonly #secureAgent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  #rules: Rule[] = [];

  constructor(broker: Broker) {
    this.#broker = broker;
    this.reload();
  }

  /** After any change of a rule. Without rules no event is made at all. */
  reload(): void {
    this.#rules = Object.values(this.#broker.config.rules)
      .filter((rule) => rule.enable === true)
      .map((rule) => ({ ...readSql(String(rule.sql)), id: String(rule.id), actions: (rule.actions as string[]) ?? [] }));
    this.#broker.onEvent = this.#rules.length > 0 ? (event) => this.#onEvent(event) : undefined;
  }

  #onEvent(event: BrokerEvent): void {
    const topic = TOPICS[event.event] ?? '';
    for (const rule of this.#rules) {
      if (!rule.from.includes(topic)) continue;
      if (!rule.where.every(({ field, equal, value }) => (String(event[field]) === value) === equal)) continue;
      for (const action of rule.actions) this.#run(action, { ...event, node: 'emqx@127.0.0.1', metadata: { rule_id: rule.id } });
    }
  }

  #run(id: string, row: object): void {
    const action = this.#broker.config.actions[id];
    const connector = action && this.#broker.config.connectors[`${String(action.type)}:${String(action.connector)}`];
    if (!action || !connector || action.enable !== true || connector.enable !== true) return;
    const parameters = action.parameters as JsonObject;
    const base = String(connector.url).replace(/\/$/, '');
    const body = JSON.stringify(row);
    const headers = { ...(connector.headers as object), ...(parameters.headers as object), 'content-length': Buffer.byteLength(body) };
    const target = `${base}${String(parameters.path ?? '')}`;
    const options = { method: String(parameters.method ?? 'post').toUpperCase(), headers, timeout: TIMEOUT_MS };
    const { cacertfile, verify } = (connector.ssl ?? {}) as JsonObject;
    const request = target.startsWith('https:')
      ? https.request(target, {
          ...options,
          agent: this.#secureAgent,
          ...(typeof cacertfile === 'string' ? { ca: cacertfile } : {}),
          rejectUnauthorized: verify === 'verify_peer',
        })
      : http.request(target, { ...options, agent: this.#agent });
    request.on('response', (response) => response.resume());
    request.on('timeout', () => request.destroy());
    request.on('error', () => undefined);
    request.end(body);
  }
}
