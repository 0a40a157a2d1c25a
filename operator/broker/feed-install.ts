// The connector, the action and the two rules by which EMQX sends its events: read back, and put right where they are not as they should be.

import { type Answer, BrokerError, codeOf, messageOf, type Rest } from './rest.ts';

export type FeedTarget = { url: string; authorization: string; caPem: string };

/** Of one name: what stands under it is ours. */
export const FEED_NAME = 'hedgerow-events';
const ID = `http:${FEED_NAME}`;

type Part = { path: string; body: Record<string, unknown> };
type Parts = { connector: Part; action: Part; rules: Part[] };

/** A feed that nobody takes for a while is not worth the broker's memory. */
const QUEUED = { query_mode: 'async', max_buffer_bytes: '16MB', request_ttl: '45s' };

export function partsOf({ url, authorization, caPem }: FeedTarget, path: string): Parts {
  const named = { type: 'http', name: FEED_NAME, enable: true };
  const rule = (id: string, sql: string): Part => ({
    path: `/rules/${id}`,
    body: { name: id, sql, actions: [ID], enable: true, description: 'events for the Hedgerow operator; hints only' },
  });
  return {
    connector: {
      path: `/connectors/${ID}`,
      body: {
        ...named,
        ...{ url, headers: { authorization }, pool_size: 2, connect_timeout: '5s' },
        ssl: { enable: true, verify: 'verify_peer', cacertfile: caPem },
      },
    },
    action: {
      path: `/actions/${ID}`,
      body: {
        ...named,
        connector: FEED_NAME,
        parameters: { method: 'post', path, headers: { 'content-type': 'application/json' }, body: WHOLE_EVENT },
        resource_opts: QUEUED,
      },
    },
    rules: [
      rule('hedgerow-denials', `SELECT * FROM "$events/client_check_authz_complete" WHERE result = 'deny'`),
      rule('hedgerow-presence', 'SELECT * FROM "$events/client_connected", "$events/client_disconnected"'),
    ],
  };
}

/** EMQX's template for the event as JSON. */
const WHOLE_EVENT = '\x24{.}';

/** Secrets and PEM do not come back as they were sent; they are written by each process once, and again when they change. */
const HIDDEN = new Set(['authorization', 'cacertfile']);

/** Whether all that is wanted stands there, but for what EMQX does not show. */
export function stands(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return found === wanted;
  if (Array.isArray(wanted))
    return Array.isArray(found) && found.length === wanted.length && wanted.every((one, at) => stands(found[at], one));
  if (typeof found !== 'object' || found === null) return false;
  const fields = found as Record<string, unknown>;
  return Object.entries(wanted).every(([name, value]) => HIDDEN.has(name) || stands(fields[name], value));
}

export function createFeedInstall(rest: Rest) {
  /** The connector that this process has written, with what does not come back. */
  let written = '';

  async function isThere({ path, body }: Part): Promise<boolean> {
    const answer = await rest.call({ method: 'GET', path });
    if (answer.status !== 200 && answer.status !== 404) throw refused('GET', path, answer);
    return answer.status === 200 && stands(answer.body, body);
  }

  async function call(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> {
    const answer = await rest.call({ method, path, ...(body === undefined ? {} : { body }) });
    const isFine = answer.status < 300 || (method === 'DELETE' && answer.status === 404);
    if (!isFine) throw refused(method, path, answer);
  }

  /** From the rules down and up again: EMQX deletes no connector that an action uses. What happens meanwhile is not heard of. */
  async function install({ connector, action, rules }: Parts): Promise<void> {
    written = '';
    for (const part of [...rules, action, connector]) await call('DELETE', part.path);
    await call('POST', '/connectors', connector.body);
    await call('POST', '/actions', action.body);
    for (const { path, body } of rules) await call('PUT', path, body);
    written = JSON.stringify(connector.body);
  }

  return {
    /** How many parts were put right. Throws what EMQX says. */
    async enforce(target: FeedTarget, path: string): Promise<number> {
      const parts = partsOf(target, path);
      const { connector, action, rules } = parts;
      if (written !== JSON.stringify(connector.body) || !(await isThere(connector)) || !(await isThere(action))) {
        await install(parts);
        return 2 + rules.length;
      }
      let changed = 0;
      for (const rule of rules) {
        if (await isThere(rule)) continue;
        await call('PUT', rule.path, rule.body);
        changed += 1;
      }
      return changed;
    },
  };
}

/** Of a connector only EMQX's own word: its text may repeat the header that was sent. */
function refused(method: string, path: string, { status, body }: Answer): BrokerError {
  const said = path.startsWith('/connectors') ? codeOf(body) : messageOf(body);
  return new BrokerError('HR-BRK-040', status, `${method} ${path}: ${status} ${said}`.trimEnd());
}
