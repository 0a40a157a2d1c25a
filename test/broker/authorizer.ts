/** The authorization chain: sources in order, first word wins, then `no_match`; and the cache each connection keeps (emqx_authz). */

import { type Access, type AclClient, compileAcl, decide, type Permission, type Rule } from './acl-rule.ts';
import { type Config, durationMs, type JsonObject, type Source } from './config.ts';
import type { Tables } from './tables.ts';
import { matches } from './topic.ts';

// Seen on 5.8.9: every connection copies the whole text at each uncached check and dies of its heap limit; 6304 rules passed, 6604 did not.
export const MAX_BEARABLE_RULES = 6400;
const CHECKS_BEFORE_CUT = 5;

export type Metrics = { allow: number; deny: number; nomatch: number; ignore: number; total: number };
export type Decision = { permission: Permission; source: string; cut: boolean };

/** What one connection remembers. */
export class AccessCache {
  readonly entries = new Map<string, { access: Access; permission: Permission; at: number; wroteAtMs: number }>();
  uncached = 0;
  clear(): void {
    this.entries.clear();
  }
}

export class Authorizer {
  readonly metrics: Record<Source['type'], Metrics> = { built_in_database: newMetrics(), file: newMetrics() };
  readonly counters = { allow: 0, deny: 0, nomatch: 0, cache_hit: 0, cache_miss: 0, superuser: 0 };
  readonly #config: Config;
  readonly #tables: Tables;
  #fileRules: Rule[] = [];
  #drainedAt = 0;

  constructor(config: Config, tables: Tables) {
    this.#config = config;
    this.#tables = tables;
    this.reload();
  }

  get fileRules(): number {
    return this.#fileRules.length;
  }

  /** After any change of a source: the text is compiled again and every cache is void. */
  reload(): void {
    const file = this.#config.sources.find((source) => source.type === 'file');
    const acl = file?.type === 'file' ? compileAcl(file.rules) : undefined;
    this.#fileRules = acl?.ok ? acl.rules : [];
    this.drain();
  }

  /** Until the next `reload`: the text that is kept is not the one that decides. */
  enforceInstead(text: string): void {
    const acl = compileAcl(text);
    if (!acl.ok) throw new Error(acl.error);
    this.#fileRules = acl.rules;
    this.drain();
  }

  drain(): void {
    this.#drainedAt = performance.now();
  }

  check(client: AclClient, access: Access, cache: AccessCache): Decision {
    const { enable, max_size, ttl, excludes } = this.#config.authorization.cache;
    const useCache = enable && !excludes.some((filter) => matches(access.topic, filter));
    const key = `${access.action}${access.qos}${access.retain ? 'r' : ''} ${access.topic}`;
    const known = useCache ? cache.entries.get(key) : undefined;
    if (known && known.at > this.#drainedAt && performance.now() - known.at < (durationMs(ttl) ?? 60_000)) {
      this.counters.cache_hit++;
      return { permission: known.permission, source: 'cache', cut: false };
    }
    if (useCache) this.counters.cache_miss++;
    const { permission, source } = this.#decide(client, access);
    cache.uncached++;
    this.counters[permission]++;
    if (useCache) {
      cache.entries.delete(key);
      const oldest = cache.entries.size >= max_size ? cache.entries.keys().next().value : undefined;
      if (oldest !== undefined) cache.entries.delete(oldest);
      cache.entries.set(key, { access, permission, at: performance.now(), wroteAtMs: Date.now() });
    }
    return { permission, source, cut: this.#fileRules.length > MAX_BEARABLE_RULES && cache.uncached >= CHECKS_BEFORE_CUT };
  }

  /** What GET /clients/{id}/authorization/cache shows: only what still counts. */
  cached(cache: AccessCache): JsonObject[] {
    return [...cache.entries.values()]
      .filter(({ at }) => at > this.#drainedAt)
      .map(({ access: { action, topic, qos, retain }, permission, wroteAtMs }) => ({
        access: action === 'publish' ? { action_type: action, qos, retain } : { action_type: action, qos },
        result: permission,
        topic,
        updated_time: wroteAtMs,
      }));
  }

  #decide(client: AclClient, access: Access): { permission: Permission; source: string } {
    for (const source of this.#config.sources) {
      if (!source.enable) continue;
      const metrics = this.metrics[source.type];
      metrics.total++;
      const rules = source.type === 'file' ? this.#fileRules : this.#tables.rulesFor(client);
      const permission = decide(rules, client, access);
      metrics[permission ?? 'nomatch']++;
      if (permission) return { permission, source: source.type };
    }
    this.counters.nomatch++;
    return { permission: this.#config.authorization.no_match === 'allow' ? 'allow' : 'deny', source: 'default' };
  }
}

function newMetrics(): Metrics {
  return { allow: 0, deny: 0, nomatch: 0, ignore: 0, total: 0 };
}
