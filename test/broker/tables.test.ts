import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ban, Tables } from './tables.ts';

const NOW = Date.now();
const BAN: Ban = { as: 'clientid', who: 'a', by: 'test', reason: '', at: 0, until: 'infinity' };
const CLIENT = { clientid: 'a', username: 'u', peerhost: '192.0.2.7' };

describe('the tables', () => {
  let dir: string;
  let count = 0;
  const file = () => join(dir, `${count++}.jsonl`);
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'hedgerow-tables-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const bans: [string, Partial<Ban>, boolean][] = [
    ['by client id', {}, true],
    ['of somebody else', { who: 'b' }, false],
    ['by user name', { as: 'username', who: 'u' }, true],
    ['by address', { as: 'peerhost', who: '192.0.2.7' }, true],
    ['by network', { as: 'peerhost_net', who: '192.0.2.0/24' }, true],
    ['by another network', { as: 'peerhost_net', who: '192.0.3.0/24' }, false],
    ['by the network of all', { as: 'peerhost_net', who: '0.0.0.0/0' }, true],
    ['by a pattern of client ids', { as: 'clientid_re', who: '^[a-c]$' }, true],
    ['by a pattern of user names', { as: 'username_re', who: '^x' }, false],
    ['that is over', { until: Math.floor(NOW / 1000) - 1 }, false],
    ['that is not over yet', { until: Math.floor(NOW / 1000) + 60 }, true],
  ];
  it.each(bans)('a ban %s', (_name, ban, expected) => {
    const tables = new Tables(file());
    tables.putBan({ ...BAN, ...ban });
    expect(tables.banned(CLIENT, NOW) !== undefined).toBe(expected);
    tables.forget();
  });

  const id = fc.constantFrom('a', 'b', '__proto__', 'x y/+', 'clientid\0a');
  const step = fc.oneof(
    id.map((who) => (tables: Tables) => tables.putBan({ ...BAN, who })),
    id.map((who) => (tables: Tables) => void tables.deleteBan('clientid', who)),
    id.map((who) => (tables: Tables) => tables.putRules('client', who, [])),
    id.map((who) => (tables: Tables) => tables.putRules('client', who, null)),
    fc.constant((tables: Tables) => tables.clearRules()),
  );
  const dump = (tables: Tables) => [[...tables.bans].sort(), [...tables.clients].sort(), [...tables.users].sort(), tables.all];

  it('are after a flush and a new start what they were', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const path = file();
        const tables = new Tables(path);
        for (const act of steps) act(tables);
        tables.flush();
        expect(dump(new Tables(path))).toEqual(dump(tables));
      }),
      { numRuns: 50 },
    );
  });

  it('a journal cut anywhere is read up to the cut', () => {
    const path = file();
    const tables = new Tables(path);
    for (const who of ['a', 'b', 'c']) tables.putBan({ ...BAN, who });
    tables.flush();
    const whole = readFileSync(path, 'utf8');
    fc.assert(
      fc.property(fc.nat(whole.length), (length) => {
        const cut = file();
        appendFileSync(cut, whole.slice(0, length));
        const read = [...new Tables(cut).bans.values()].map((ban) => ban.who);
        expect(read).toEqual(['a', 'b', 'c'].slice(0, read.length));
        expect(read.length).toBeGreaterThanOrEqual(whole.slice(0, length).split('\n').length - 1);
      }),
    );
  });
});
