/** Bans and built-in rules: kept in memory, written down late, so that a SIGKILL loses the last seconds as it does on EMQX. */

import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import { type AclClient, builtInRule, type Permission, type Rule } from './acl-rule.ts';
import { compilePattern } from './pcre.ts';

// Recorded: what was written 1000 ms before a SIGKILL was gone, what was written 3000 ms before was there (restart.json).
const WRITTEN_AFTER_MS = 2800;

export type BanKind = 'clientid' | 'username' | 'peerhost' | 'clientid_re' | 'username_re' | 'peerhost_net';
export type Ban = { as: BanKind; who: string; by: string; reason: string; at: number; until: number | 'infinity' };
export type RuleRecord = {
  topic: string;
  permission: Permission;
  action: 'publish' | 'subscribe' | 'all';
  qos: number[];
  retain: 'all' | boolean;
};

type Entry = { table: 'ban' | 'client' | 'user' | 'all'; key: string; value: Ban | RuleRecord[] | null };

export class Tables {
  readonly bans = new Map<string, Ban>();
  readonly clients = new Map<string, RuleRecord[]>();
  readonly users = new Map<string, RuleRecord[]>();
  all: RuleRecord[] = [];
  readonly #file: string;
  readonly #pending: { at: number; line: string }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(file: string) {
    this.#file = file;
    if (existsSync(file)) this.#load();
  }

  /** True when nothing was ever written: only then a `banned.bootstrap_file` is read. */
  get empty(): boolean {
    return this.bans.size === 0;
  }

  putBan(ban: Ban): void {
    this.#put({ table: 'ban', key: banKey(ban.as, ban.who), value: ban });
  }

  deleteBan(as: string, who: string): boolean {
    if (!this.bans.has(banKey(as, who))) return false;
    this.#put({ table: 'ban', key: banKey(as, who), value: null });
    return true;
  }

  /** The unexpired ban that concerns this client, exact kinds first (emqx_banned.erl). */
  banned(client: Pick<AclClient, 'clientid' | 'username' | 'peerhost'>, nowMs: number): Ban | undefined {
    const exact = [banKey('clientid', client.clientid), banKey('username', client.username ?? ''), banKey('peerhost', client.peerhost)];
    for (const key of exact) {
      const ban = this.bans.get(key);
      if (ban && inForce(ban, nowMs)) return ban;
    }
    for (const ban of this.#wide.values()) if (inForce(ban, nowMs) && widelyMatches(ban, client)) return ban;
    return undefined;
  }

  readonly #wide = new Map<string, Ban>();

  putRules(kind: 'client' | 'user', id: string, rules: RuleRecord[] | null): void {
    this.#put({ table: kind, key: id, value: rules });
  }

  putAll(rules: RuleRecord[]): void {
    this.#put({ table: 'all', key: '', value: rules });
  }

  clearRules(): void {
    for (const id of [...this.clients.keys()]) this.putRules('client', id, null);
    for (const id of [...this.users.keys()]) this.putRules('user', id, null);
    this.putAll([]);
  }

  /** Rules in the order EMQX asks: client id, user name, all. Parsed anew each time, as EMQX does; compiled forms are kept here. */
  rulesFor(client: AclClient): Rule[] {
    return [this.clients.get(client.clientid), this.users.get(client.username ?? ''), this.all].flatMap((records) =>
      records ? compiled(records) : [],
    );
  }

  /** Writes down everything now: what a SIGTERM does. */
  flush(): void {
    this.#write(this.#pending.splice(0));
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Drops what was not written yet. */
  forget(): void {
    this.#pending.length = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #put(entry: Entry): void {
    this.#apply(entry);
    this.#pending.push({ at: Date.now(), line: JSON.stringify(entry) });
    this.#timer ??= setTimeout(() => this.#writeOld(), WRITTEN_AFTER_MS).unref();
  }

  #writeOld(): void {
    const until = Date.now() - WRITTEN_AFTER_MS;
    let ripe = 0;
    while (ripe < this.#pending.length && (this.#pending[ripe]?.at ?? 0) <= until) ripe++;
    this.#write(this.#pending.splice(0, ripe));
    const next = this.#pending[0];
    this.#timer = next ? setTimeout(() => this.#writeOld(), Math.max(next.at + WRITTEN_AFTER_MS - Date.now(), 20)).unref() : undefined;
  }

  #write(entries: { line: string }[]): void {
    if (entries.length > 0) appendFileSync(this.#file, `${entries.map((entry) => entry.line).join('\n')}\n`);
  }

  #apply(entry: Entry): void {
    const { table, key, value } = entry;
    if (table === 'all') this.all = (value as RuleRecord[] | null) ?? [];
    else if (table === 'ban') {
      const ban = value as Ban | null;
      const wide = ban && (ban.as.endsWith('_re') || ban.as === 'peerhost_net');
      if (ban) this.bans.set(key, ban);
      else this.bans.delete(key);
      if (wide) this.#wide.set(key, ban);
      else this.#wide.delete(key);
    } else {
      const rules = table === 'client' ? this.clients : this.users;
      if (value === null) rules.delete(key);
      else rules.set(key, value as RuleRecord[]);
    }
  }

  /** Replays the journal and writes it back short. A torn last line is what a SIGKILL in the middle of a write leaves. */
  #load(): void {
    for (const line of readFileSync(this.#file, 'utf8').split('\n')) {
      if (line === '') continue;
      try {
        this.#apply(JSON.parse(line) as Entry);
      } catch {
        break;
      }
    }
    const entries: Entry[] = [
      ...[...this.bans].map(([key, value]): Entry => ({ table: 'ban', key, value })),
      ...[...this.clients].map(([key, value]): Entry => ({ table: 'client', key, value })),
      ...[...this.users].map(([key, value]): Entry => ({ table: 'user', key, value })),
      { table: 'all', key: '', value: this.all },
    ];
    writeFileSync(`${this.#file}.new`, `${entries.map((entry) => JSON.stringify(entry)).join('\n')}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}

export function banKey(as: string, who: string): string {
  return `${as}\0${who}`;
}

export function inForce(ban: Ban, nowMs: number): boolean {
  return ban.until === 'infinity' || ban.until * 1000 > nowMs;
}

const compiledRecords = new WeakMap<RuleRecord[], Rule[]>();

function compiled(records: RuleRecord[]): Rule[] {
  const known = compiledRecords.get(records);
  if (known) return known;
  const rules = records.map(builtInRule);
  compiledRecords.set(records, rules);
  return rules;
}

function widelyMatches(ban: Ban, client: Pick<AclClient, 'clientid' | 'username' | 'peerhost'>): boolean {
  if (ban.as === 'clientid_re') return compilePattern(ban.who).test(client.clientid);
  if (ban.as === 'username_re') return client.username !== undefined && compilePattern(ban.who).test(client.username);
  const [net = '', prefix = ''] = ban.who.split('/');
  const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
  if (isIP(net) === 0 || isIP(client.peerhost) === 0) return false;
  const list = new BlockList();
  list.addSubnet(net, Number(prefix), family(net));
  return list.check(client.peerhost, family(client.peerhost));
}
