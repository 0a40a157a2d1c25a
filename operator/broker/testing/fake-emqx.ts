// EMQX in memory, as far as the room's calls go and as the recordings say, with faults on demand. No sockets: it answers within the same turn.
import { createHash } from 'node:crypto';
import type { Clock } from '../../runtime/clock.ts';
import type { BrokerCode } from '../errors.ts';
import { CLIENTID_OVERRIDE, SEGMENT_EXPRESSION } from '../posture.ts';
import { type Answer, BrokerError, codeOf, type Rest, type RestCall } from '../rest.ts';

export type FakeClient = {
  clientid: string;
  username: string;
  segment?: string;
  connected?: boolean;
  disconnected_at?: string;
  subscriptions?: string[];
  pending?: number;
};
/** `before` answers instead of EMQX, or throws; undefined lets the call through. */
export type Fault = (call: RestCall) => Answer | undefined;

const RULES = '/authorization/sources/built_in_database/rules';
const noContent: Answer = { status: 204, body: undefined };
const ok = (body: unknown): Answer => ({ status: 200, body });
const notFound: Answer = { status: 404, body: { code: 'NOT_FOUND', message: 'Not Found' } };

export class FakeEmqx implements Rest {
  readonly calls: string[] = [];
  readonly bans = new Map<string, Record<string, string>>();
  readonly records = new Map<string, { topic: string; permission: string; action: string; qos: number[]; retain: unknown }[]>();
  readonly clients = new Map<string, FakeClient>();
  readonly kicked: string[] = [];
  readonly cachesCleared: string[] = [];
  text = '{deny, all}.\n';
  enabled = true;
  sources = ['built_in_database', 'file'];
  listeners: object[] = [{ id: 'ssl:default', enable: true, bind: '0.0.0.0:8883' }];
  /** What the TLS listener trusts, as PEM; undefined: the file it began with. */
  cas: string | undefined;
  refusesCas = false;
  delayed = false;
  /** Texts that hold this are refused as a bad regular expression would be. */
  refuses: RegExp | undefined;
  fault: Fault | undefined;
  /** As `fault`, but EMQX has done what was asked before the answer is lost. */
  lostAnswer: Fault | undefined;
  inFlight = 0;
  mostInFlight = 0;
  #startedAt: number;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.elapsed() - 3_600_000;
  }

  async call(call: RestCall): Promise<Answer> {
    this.calls.push(`${call.method} ${call.path.replace(/[?].*$/, '')}`);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    await undefined;
    this.inFlight--;
    const answer = this.fault?.(call) ?? this.#answer(call);
    const instead = this.lostAnswer?.(call);
    return judged(instead ?? answer);
  }

  stop(): void {}
  async close(): Promise<void> {}

  /** What was written, in order. */
  get writes(): string[] {
    return this.calls.filter((call) => !call.startsWith('GET'));
  }

  restart(options: { wipe?: boolean } = {}): void {
    this.#startedAt = this.#clock.elapsed();
    this.clients.clear();
    if (options.wipe !== true) return;
    this.bans.clear();
    this.records.clear();
    this.cas = undefined;
    this.text = '{deny, all}.\n';
    this.enabled = true;
  }

  #answer({ method, path, body }: RestCall): Answer {
    const [route = '', query = ''] = path.split('?');
    const parts = route.split('/').slice(1).map(decodeURIComponent);
    if (parts[0] === 'banned') return this.#banned(method, parts, body as Record<string, string>);
    if (route.startsWith(`${RULES}/clients`)) return this.#rules(method, parts[5], body as { rules: [] });
    if (parts[0] === 'clients') return this.#clients(method, parts, new URLSearchParams(query), body);
    if (parts[0] === 'authorization' && parts[1] === 'sources' && method !== 'GET')
      return this.#source(method, parts[2], body as { type: string });
    if (method === 'PUT' && route === '/listeners/ssl:default') return this.#listener(body as { ssl_options: { cacertfile: string } });
    return this.#settings(route);
  }

  #sslOptions(): object {
    const file = `certs/cacert-${createHash('sha256')
      .update(this.cas ?? '')
      .digest('hex')
      .slice(0, 16)}`;
    const cacertfile = this.cas === undefined ? '/etc/ca.crt' : file;
    return { verify: 'verify_peer', fail_if_no_peer_cert: true, versions: ['tlsv1.3'], reuse_sessions: false, cacertfile };
  }

  /** Merged into what is there; PEM goes into a file that is named after it. */
  #listener(body: { ssl_options: { cacertfile: string } }): Answer {
    if (this.refusesCas) return { status: 400, body: { code: 'BAD_REQUEST', message: '{bad_ssl_config,…}' } };
    this.cas = body.ssl_options.cacertfile;
    return ok({ ssl_options: this.#sslOptions() });
  }

  #settings(route: string): Answer {
    switch (route) {
      case '/nodes':
        return ok([{ node: 'emqx@127.0.0.1', uptime: this.#clock.elapsed() - this.#startedAt, version: '5.8.9' }]);
      case '/authorization/sources':
        return ok({
          sources: this.sources.map((type) =>
            type === 'file' ? { type, enable: this.enabled, rules: this.text } : { type, enable: true, max_rules: 100 },
          ),
        });
      case '/listeners':
        return ok(this.listeners);
      case '/listeners/ssl:default':
        return ok({ ssl_options: this.#sslOptions() });
      case '/configs/global_zone':
        return ok({
          mqtt: {
            peer_cert_as_clientid: 'cn',
            peer_cert_as_username: 'md5',
            client_attrs_init: [{ set_as_attr: 'seg', expression: SEGMENT_EXPRESSION }],
            clientid_override: CLIENTID_OVERRIDE,
          },
        });
      case '/authorization/settings':
        return ok({ no_match: 'deny' });
      case `${RULES}/all`:
        return ok({ rules: [] });
      case '/mqtt/delayed':
        return ok({ enable: this.delayed });
      case '/subscriptions':
        return page(
          [...this.clients.values()].flatMap(({ clientid, subscriptions = [] }) => subscriptions.map((topic) => ({ clientid, topic }))),
        );
      default:
        return notFound;
    }
  }

  #banned(method: string, [, as = '', who = '']: string[], body: Record<string, string>): Answer {
    if (method === 'GET') return page([...this.bans.values()]);
    if (method === 'DELETE') return this.bans.delete(`${as} ${who}`) ? noContent : notFound;
    const key = `${body.as} ${body.who}`;
    const old = this.bans.get(key);
    if (old !== undefined) return { status: 400, body: { code: 'ALREADY_EXISTS', message: JSON.stringify(old) } };
    if (body.until !== 'infinity' && Date.parse(body.until ?? '') <= this.#clock.now())
      return { status: 400, body: { code: 'BAD_REQUEST', message: '[67,97]' } };
    const record = { ...body, until: (body.until ?? 'infinity').replace(/([.]\d+)?Z$/, '+00:00') };
    this.bans.set(key, record);
    if (body.as === 'clientid') this.#kick(body.who ?? '');
    return ok(record);
  }

  #rules(method: string, client: string | undefined, body: { rules: { qos?: number[]; retain?: boolean }[] }): Answer {
    if (client === undefined) return page([...this.records].map(([clientid, rules]) => ({ clientid, rules })));
    const held = this.records.get(client);
    if (method === 'GET') return held === undefined ? notFound : ok({ clientid: client, rules: held });
    if (method === 'DELETE') return this.records.delete(client) ? noContent : notFound;
    this.records.set(client, body.rules.map((rule) => ({ qos: [0, 1, 2], retain: 'all', ...rule })) as never);
    return noContent;
  }

  #clients(method: string, [, id, ...rest]: string[], query: URLSearchParams, body: unknown): Answer {
    if (id === 'kickout') {
      for (const one of body as string[]) this.#kick(one);
      return noContent;
    }
    if (id === undefined) {
      const username = query.get('username');
      return page([...this.clients.values()].filter((one) => username === null || one.username === username).map(row));
    }
    const client = this.clients.get(id);
    if (client === undefined) return { status: 404, body: { code: 'CLIENTID_NOT_FOUND', message: 'Client ID not found' } };
    if (method === 'GET')
      return rest[0] === 'subscriptions' ? ok((client.subscriptions ?? []).map((topic) => ({ clientid: id, topic }))) : ok(row(client));
    if (rest[0] === 'authorization') this.cachesCleared.push(id);
    else if (rest[0] === 'unsubscribe') {
      const gone = new Set((body as { topic: string }[]).map((one) => one.topic));
      client.subscriptions = (client.subscriptions ?? []).filter((topic) => !gone.has(topic));
    } else this.#kick(id);
    return noContent;
  }

  #kick(id: string): void {
    if (this.clients.delete(id)) this.kicked.push(id);
  }

  #source(method: string, type: string | undefined, body: { type: string; enable?: boolean; rules?: string }): Answer {
    if (method === 'PUT' && !this.sources.includes(type ?? '')) return notFound;
    if (method === 'POST') this.sources = [body.type, ...this.sources];
    if (body.type !== 'file') return noContent;
    if (this.refuses?.test(body.rules ?? '') === true)
      return { status: 400, body: { code: 'BAD_REQUEST', message: 'regular expression is too large' } };
    this.text = body.rules ?? '';
    this.enabled = body.enable !== false;
    return noContent;
  }
}

function row({ clientid, username, segment, connected = true, disconnected_at, pending = 0 }: FakeClient): object {
  const gone = disconnected_at === undefined ? {} : { disconnected_at };
  const counts = { mqueue_len: pending, inflight_cnt: 0 };
  return { clientid, username, connected, ...counts, client_attrs: segment === undefined ? {} : { seg: segment }, ...gone };
}

const page = (data: unknown[]): Answer => ok({ data, meta: { page: 1, limit: 10_000 } });

/** As `createRest` does it. */
function judged(answer: Answer): Answer {
  const code: BrokerCode | undefined =
    answer.status === 401 ? 'HR-BRK-002' : answer.status === 403 ? 'HR-BRK-003' : answer.status >= 500 ? 'HR-BRK-004' : undefined;
  if (code !== undefined) throw new BrokerError(code, answer.status, `${answer.status} ${codeOf(answer.body)}`);
  return answer;
}

export const noAnswer = (): never => {
  throw new BrokerError('HR-BRK-001', 0, 'ECONNREFUSED');
};
