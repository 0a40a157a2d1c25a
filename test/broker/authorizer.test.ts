import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Access, AclClient } from './acl-rule.ts';
import { AccessCache, Authorizer, MAX_BEARABLE_RULES } from './authorizer.ts';
import { bootConfig, type Config } from './config.ts';
import { Tables } from './tables.ts';

const NOWHERE = { ca: '', cert: '', key: '', keys: '', sslBind: ':1', tcpBind: ':2', wsBind: ':3', wssBind: ':4' };
const CLIENT: AclClient = { clientid: 'a', username: 'u', peerhost: '192.0.2.1', zone: 'default', attrs: {} };
const RECORD = { topic: '#', permission: 'deny' as const, action: 'all' as const, qos: [0, 1, 2], retain: 'all' as const };

describe('the chain of sources', () => {
  let config: Config;
  let tables: Tables;
  let authorizer: Authorizer;
  let cache: AccessCache;
  const check = (access: Partial<Access> = {}) => {
    const { permission, source } = authorizer.check(CLIENT, { action: 'publish', topic: 't', qos: 1, retain: false, ...access }, cache);
    return `${permission} by ${source}`;
  };
  const text = (rules: string) => {
    config.sources = config.sources.map((source) => (source.type === 'file' ? { ...source, rules } : source));
    authorizer.reload();
  };

  beforeEach(() => {
    config = bootConfig('hedgerow', NOWHERE);
    // Never written: the journal is touched seconds after a change.
    tables = new Tables('/nonexistent/tables.jsonl');
    authorizer = new Authorizer(config, tables);
    cache = new AccessCache();
    return () => tables.forget();
  });

  it('boots denying everything', () => expect(check()).toBe('deny by file'));

  it('asks the record of the client first, then its user name, then `all`, then the text', () => {
    text('{allow, all}.');
    expect(check()).toBe('allow by file');
    tables.putAll([{ ...RECORD, topic: 't/all' }]);
    tables.putRules('user', 'u', [
      { ...RECORD, topic: 't/user' },
      { ...RECORD, permission: 'allow', topic: 't/all' },
    ]);
    tables.putRules('client', 'a', [{ ...RECORD, permission: 'allow', topic: 't/user' }]);
    expect(check({ topic: 't/all' })).toBe('allow by built_in_database');
    expect(check({ topic: 't/user' })).toBe('allow by built_in_database');
    expect(check({ topic: 't/else' })).toBe('allow by file');
  });

  it('falls to no_match where nobody has an opinion', () => {
    text('');
    expect(check()).toBe('deny by default');
    config.authorization.no_match = 'allow';
    expect(check({ topic: 'other' })).toBe('allow by default');
  });

  it('skips a source that is not enabled', () => {
    text('{allow, all}.');
    tables.putRules('client', 'a', [RECORD]);
    config.sources = config.sources.map((source) => ({ ...source, enable: source.type === 'file' }));
    expect(check()).toBe('allow by file');
  });

  describe('the cache of a connection', () => {
    beforeEach(() => {
      text('{allow, all}.');
      expect(check()).toBe('allow by file');
      tables.putRules('client', 'a', [RECORD]);
    });

    it('answers alike until its ttl is over', async () => {
      expect(check()).toBe('allow by cache');
      config.authorization.cache.ttl = '10ms';
      await sleep(20);
      expect(check()).toBe('deny by built_in_database');
    });

    it('tells action, qos and retain apart', () => {
      for (const access of [{ action: 'subscribe' as const }, { qos: 0 as const }, { retain: true }, { topic: 'u' }])
        expect(check(access)).toBe('deny by built_in_database');
    });

    it('forgets when a source changes or everything is drained, not by itself', () => {
      authorizer.reload();
      expect(check()).toBe('deny by built_in_database');
      tables.putRules('client', 'a', null);
      expect(check()).toBe('deny by cache');
      authorizer.drain();
      expect(check()).toBe('allow by file');
    });

    it('keeps max_size answers, the oldest goes', () => {
      tables.putRules('client', 'a', null);
      for (let n = 0; n < config.authorization.cache.max_size; n++) check({ topic: `t/${n}` });
      tables.putRules('client', 'a', [RECORD]);
      expect(check({ topic: `t/${config.authorization.cache.max_size - 1}` })).toBe('allow by cache');
      expect(check()).toBe('deny by built_in_database');
    });

    it('is not used where it is off or the topic is excluded', () => {
      config.authorization.cache.excludes = ['t/#'];
      expect(check()).toBe('deny by built_in_database');
      config.authorization.cache = { ...config.authorization.cache, excludes: [], enable: false };
      expect(check()).toBe('deny by built_in_database');
    });
  });

  it('costs a connection its life above the number of rules that a real one bears', () => {
    const rule = '{allow, all, publish, ["x"]}.\n';
    const cutAt = (rules: number) => {
      text(rule.repeat(rules));
      const fresh = new AccessCache();
      const checks = Array.from(
        { length: 10 },
        (_, n) => authorizer.check(CLIENT, { action: 'publish', topic: `t/${n}`, qos: 1, retain: false }, fresh).cut,
      );
      return checks.indexOf(true);
    };
    expect(cutAt(6_304)).toBe(-1); // hedgerow-profile.json, "6 force_shutdown and text size, 1050 segments"
    expect(cutAt(6_604)).toBeGreaterThan(2); // "… 1100 segments": at the 4th to 7th uncached check
    expect(MAX_BEARABLE_RULES).toBeGreaterThan(6_303);
  });
});
