// EMQX's REST API as far as Hedgerow uses it, one function a call. Answers are checked: what has not the form that EMQX gives is an error, never a fact.
import type { Ban, ClientRule } from './broker.ts';
import { type Counted, countedOf } from './counted.ts';
import { BrokerError, codeOf, messageOf, type Rest } from './rest.ts';

export type HeldBan = { as: string; who: string; until: string; reason: string; by: string };
export type RecordRule = { topic: string; permission: string; action: string; qos: number[]; retain: boolean | 'all' };
/** `goneAt`: RFC 3339, of a session whose client is away. `counted`: where it was asked for. */
export type ClientRow = {
  clientid: string;
  username: string;
  connected: boolean;
  segment: string | undefined;
  goneAt?: string;
  counted?: Counted;
};
/** `since`: RFC 3339, when it connected last. */
export type ConnectedClient = ClientRow & { since: string | undefined };
/** `pending`: messages that wait in its session, or were sent and not acknowledged. */
export type OneClient = ClientRow & { pending: number };
export type Source = { type: string; enable: boolean; rules: string | undefined };
export type Tried = { ok: true } | { ok: false; why: string };

export type Emqx = ReturnType<typeof createEmqx>;

const PAGE = 10_000;
/** 10 million rows: a broker that never ends its list is broken. */
const MOST_PAGES = 1000;
const TLS_LISTENER = '/listeners/ssl:default';
const RULES = '/authorization/sources/built_in_database/rules';
/** The file source waits for a compile of the whole text; 12,004 rules took 1.5 s (emqx-profile.md). */
const TEXT_DEADLINE_MS = 30_000;

export function createEmqx(rest: Rest) {
  const get = async (path: string): Promise<unknown> => {
    const answer = await rest.call({ method: 'GET', path });
    if (answer.status !== 200) throw unexpected(`GET ${path}`, answer.status, answer.body);
    return answer.body;
  };
  /** 404 is success: what should be gone is gone. */
  const remove = async (path: string): Promise<void> => {
    const answer = await rest.call({ method: 'DELETE', path });
    if (answer.status !== 204 && answer.status !== 200 && answer.status !== 404)
      throw unexpected(`DELETE ${path}`, answer.status, answer.body);
  };

  return {
    /** Milliseconds since each node started. */
    async uptimes(): Promise<Map<string, number>> {
      const nodes = array(await get('/nodes'), 'GET /nodes');
      return new Map(nodes.map((row) => [text(row, 'node', 'GET /nodes'), numberOf(row, 'uptime', 'GET /nodes')]));
    },

    async sources(): Promise<Source[]> {
      const where = 'GET /authorization/sources';
      return array(field(await get('/authorization/sources'), 'sources', where), where).map((row) => ({
        type: text(row, 'type', where),
        enable: field(row, 'enable', where) !== false,
        rules: optionalText(row, 'rules'),
      }));
    },
    /** EMQX compiles the text before it replaces the old one; a refusal changes nothing. */
    async putText(rules: string): Promise<Tried> {
      const body = { type: 'file', enable: true, rules };
      const path = '/authorization/sources/file';
      const answer = await rest.call({ method: 'PUT', path, body, deadlineMs: TEXT_DEADLINE_MS });
      if (answer.status === 404) return await created(rest, body);
      return tried(answer.status, answer.body, `PUT ${path}`);
    },
    async enableRecords(there: boolean): Promise<Tried> {
      const body = { type: 'built_in_database', enable: true };
      if (!there) return await created(rest, body);
      const path = '/authorization/sources/built_in_database';
      const answer = await rest.call({ method: 'PUT', path, body });
      return tried(answer.status, answer.body, `PUT ${path}`);
    },

    async bans(): Promise<HeldBan[]> {
      return (await pages(get, '/banned')).map((row) => banOf(row, 'GET /banned'));
    },
    /** Undefined when EMQX holds it now; else the unexpired record that is there already. */
    async ban(ban: Ban): Promise<HeldBan | undefined> {
      const answer = await rest.call({ method: 'POST', path: '/banned', body: ban });
      if (answer.status === 200) return undefined;
      const old = codeOf(answer.body) === 'ALREADY_EXISTS' ? oldBan(answer.body) : undefined;
      if (old === undefined) throw unexpected('POST /banned', answer.status, answer.body);
      return old;
    },
    unban: (as: string, who: string) => remove(`/banned/${encodeURIComponent(as)}/${encodeURIComponent(who)}`),

    async records(): Promise<Map<string, RecordRule[]>> {
      const where = `GET ${RULES}/clients`;
      const rows = await pages(get, `${RULES}/clients`);
      return new Map(rows.map((row) => [text(row, 'clientid', where), array(field(row, 'rules', where), where).map(ruleOf)]));
    },
    async record(client: string): Promise<RecordRule[] | undefined> {
      const path = `${RULES}/clients/${encodeURIComponent(client)}`;
      const answer = await rest.call({ method: 'GET', path });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw unexpected(`GET ${path}`, answer.status, answer.body);
      return array(field(answer.body, 'rules', path), path).map(ruleOf);
    },
    async putRecord(client: string, rules: readonly ClientRule[]): Promise<void> {
      const path = `${RULES}/clients/${encodeURIComponent(client)}`;
      const answer = await rest.call({ method: 'PUT', path, body: { clientid: client, rules } });
      if (answer.status !== 204 && answer.status !== 200) throw unexpected(`PUT ${path}`, answer.status, answer.body);
    },
    deleteRecord: (client: string) => remove(`${RULES}/clients/${encodeURIComponent(client)}`),

    /** Sessions too whose client is away. */
    async clients(): Promise<ClientRow[]> {
      const fields = 'clientid,username,connected,client_attrs,disconnected_at,connected_at,recv_msg,recv_oct';
      return (await pages(get, '/clients', `&fields=${fields}`)).map(clientOf);
    },
    /** With the address it comes from. */
    async clientsWithAddress(): Promise<(ClientRow & { ip: string | undefined })[]> {
      const rows = await pages(get, '/clients', '&fields=clientid,username,connected,client_attrs,ip_address');
      return rows.map((row) => ({ ...clientOf(row), ip: optionalText(row, 'ip_address') }));
    },
    async clientsSince(): Promise<ConnectedClient[]> {
      const rows = await pages(get, '/clients', '&fields=clientid,username,connected,client_attrs,connected_at');
      return rows.map((row) => ({ ...clientOf(row), since: optionalText(row, 'connected_at') }));
    },
    async clientSince(id: string): Promise<ConnectedClient | undefined> {
      const row = await oneClient(rest, id);
      return row === undefined ? undefined : { ...clientOf(row), since: optionalText(row, 'connected_at') };
    },
    async clientsOf(username: string): Promise<ClientRow[]> {
      const query = `&username=${encodeURIComponent(username)}&fields=clientid,username,connected,client_attrs`;
      // An unknown filter would be ignored and give the whole list (emqx.md §1.2): only the rows asked for are believed.
      return (await pages(get, '/clients', query)).map(clientOf).filter((row) => row.username === username);
    },
    async client(id: string): Promise<OneClient | undefined> {
      const row = await oneClient(rest, id);
      return row === undefined ? undefined : { ...clientOf(row), pending: pendingOf(row) };
    },
    /** Closes the connection and discards the session, also of a client that is away. */
    kick: (id: string) => remove(`/clients/${encodeURIComponent(id)}`),
    async kickAll(ids: readonly string[]): Promise<void> {
      for (let i = 0; i < ids.length; i += KICKS) {
        const answer = await rest.call({
          method: 'POST',
          path: '/clients/kickout/bulk',
          body: ids.slice(i, i + KICKS),
          deadlineMs: TEXT_DEADLINE_MS,
        });
        if (answer.status !== 204 && answer.status !== 200) throw unexpected('POST /clients/kickout/bulk', answer.status, answer.body);
      }
    },
    /** Where the TLS listener has the CAs from; undefined without that listener. */
    async caFile(): Promise<string | undefined> {
      const answer = await rest.call({ method: 'GET', path: TLS_LISTENER });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw unexpected(`GET ${TLS_LISTENER}`, answer.status, answer.body);
      return optionalText(field(answer.body, 'ssl_options', TLS_LISTENER), 'cacertfile');
    },
    /** EMQX keeps the PEM in a file named after its content, and new handshakes use it at once; connections stay (emqx.md §1.7). What is not sent stays as it is. */
    async putCas(pem: string): Promise<{ ok: true; file: string } | { ok: false; why: string }> {
      const body = { id: 'ssl:default', type: 'ssl', ssl_options: { cacertfile: pem } };
      const answer = await rest.call({ method: 'PUT', path: TLS_LISTENER, body });
      const result = tried(answer.status, answer.body, `PUT ${TLS_LISTENER}`);
      if (!result.ok) return result;
      const file = optionalText(field(answer.body, 'ssl_options', TLS_LISTENER), 'cacertfile');
      return file === undefined ? { ok: false, why: 'the answer names no file' } : { ok: true, file };
    },
    clearCache: (id: string) => remove(`/clients/${encodeURIComponent(id)}/authorization/cache`),

    async subscriptions(): Promise<Map<string, string[]>> {
      const where = 'GET /subscriptions';
      const byClient = new Map<string, string[]>();
      for (const row of await pages(get, '/subscriptions')) {
        const client = text(row, 'clientid', where);
        byClient.set(client, [...(byClient.get(client) ?? []), text(row, 'topic', where)]);
      }
      return byClient;
    },
    async subscriptionsOf(id: string): Promise<string[]> {
      const path = `/clients/${encodeURIComponent(id)}/subscriptions`;
      const answer = await rest.call({ method: 'GET', path });
      if (answer.status === 404) return [];
      if (answer.status !== 200) throw unexpected(`GET ${path}`, answer.status, answer.body);
      return array(answer.body, path).map((row) => text(row, 'topic', path));
    },
    async unsubscribe(id: string, topics: readonly string[]): Promise<void> {
      const path = `/clients/${encodeURIComponent(id)}/unsubscribe/bulk`;
      const answer = await rest.call({ method: 'POST', path, body: topics.map((topic) => ({ topic })) });
      if (![200, 204, 404].includes(answer.status)) throw unexpected(`POST ${path}`, answer.status, answer.body);
    },

    /** A part of the configuration as it stands, for the posture; undefined when this EMQX does not know the path. */
    async read(path: string): Promise<unknown> {
      const answer = await rest.call({ method: 'GET', path });
      return answer.status === 200 ? answer.body : undefined;
    },
  };
}

/** 1000 kicks took 0.4 s in one call (emqx.md §1.6). */
const KICKS = 1000;

async function oneClient(rest: Rest, id: string): Promise<unknown> {
  const path = `/clients/${encodeURIComponent(id)}`;
  const answer = await rest.call({ method: 'GET', path });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw unexpected(`GET ${path}`, answer.status, answer.body);
  return answer.body;
}

async function created(rest: Rest, body: unknown): Promise<Tried> {
  const answer = await rest.call({ method: 'POST', path: '/authorization/sources', body, deadlineMs: TEXT_DEADLINE_MS });
  return tried(answer.status, answer.body, 'POST /authorization/sources');
}

function tried(status: number, body: unknown, call: string): Tried {
  if (status === 204 || status === 200) return { ok: true };
  if (status === 400) return { ok: false, why: messageOf(body) };
  throw unexpected(call, status, body);
}

/** All pages, until one is short: rows may move between pages, so that one may be missed or seen twice; callers survive both. */
export async function pages(get: (path: string) => Promise<unknown>, path: string, query = ''): Promise<unknown[]> {
  const rows: unknown[] = [];
  for (let page = 1; page <= MOST_PAGES; page++) {
    const body = await get(`${path}?page=${page}&limit=${PAGE}${query}`);
    const data = array(field(body, 'data', path), path);
    rows.push(...data);
    if (data.length < PAGE) return rows;
  }
  throw new BrokerError('HR-BRK-005', 200, `GET ${path}: the list has no end`);
}

function banOf(row: unknown, where: string): HeldBan {
  return {
    as: text(row, 'as', where),
    who: text(row, 'who', where),
    until: String(field(row, 'until', where)),
    reason: optionalText(row, 'reason') ?? '',
    by: optionalText(row, 'by') ?? '',
  };
}

/** The record that is there comes as JSON inside the message (emqx.md §1.5). */
function oldBan(body: unknown): HeldBan | undefined {
  try {
    return banOf(JSON.parse(text(body, 'message', '')), 'POST /banned');
  } catch {
    return undefined;
  }
}

function ruleOf(row: unknown): RecordRule {
  const where = `GET ${RULES}/clients`;
  const retain = isObject(row) ? row.retain : undefined;
  const qos = isObject(row) && Array.isArray(row.qos) ? row.qos.filter((one) => typeof one === 'number') : [0, 1, 2];
  return {
    topic: text(row, 'topic', where),
    permission: text(row, 'permission', where),
    action: text(row, 'action', where),
    qos: [...qos].sort(),
    retain: typeof retain === 'boolean' ? retain : 'all',
  };
}

function clientOf(row: unknown): ClientRow {
  const attributes = isObject(row) ? row.client_attrs : undefined;
  const segment = isObject(attributes) ? attributes.seg : undefined;
  const goneAt = optionalText(row, 'disconnected_at');
  const counted = countedOf(row);
  return {
    clientid: text(row, 'clientid', 'GET /clients'),
    username: optionalText(row, 'username') ?? '',
    connected: isObject(row) && row.connected !== false,
    segment: typeof segment === 'string' ? segment : undefined,
    ...(goneAt === undefined ? {} : { goneAt }),
    ...(counted === undefined ? {} : { counted }),
  };
}

function pendingOf(row: unknown): number {
  const count = (name: string): number => (isObject(row) && typeof row[name] === 'number' ? row[name] : 0);
  return count('mqueue_len') + count('inflight_cnt');
}

export function unexpected(call: string, status: number, body: unknown): BrokerError {
  return new BrokerError('HR-BRK-005', status, `${call.replace(/[?].*$/, '')}: ${status} ${codeOf(body)} ${messageOf(body)}`.trimEnd());
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function field(value: unknown, name: string, where: string): unknown {
  if (!isObject(value) || value[name] === undefined) throw new BrokerError('HR-BRK-005', 200, `${where}: the answer has no "${name}"`);
  return value[name];
}

function array(value: unknown, where: string): unknown[] {
  if (!Array.isArray(value)) throw new BrokerError('HR-BRK-005', 200, `${where}: the answer is no list`);
  return value;
}

export function text(value: unknown, name: string, where: string): string {
  const found = field(value, name, where);
  if (typeof found !== 'string') throw new BrokerError('HR-BRK-005', 200, `${where}: "${name}" is no text`);
  return found;
}

function numberOf(value: unknown, name: string, where: string): number {
  const found = field(value, name, where);
  if (typeof found !== 'number') throw new BrokerError('HR-BRK-005', 200, `${where}: "${name}" is no number`);
  return found;
}

export function optionalText(value: unknown, name: string): string | undefined {
  const found = isObject(value) ? value[name] : undefined;
  return typeof found === 'string' ? found : undefined;
}
