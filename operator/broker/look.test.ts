import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { compileAcl } from './acl-compile.ts';
import { printBlock } from './acl-text.ts';
import { createEmqx } from './emqx.ts';
import { aclOf, lookAtClient, lookAtFleet } from './look.ts';
import { recordOf } from './record.ts';
import { FakeEmqx } from './testing/fake-emqx.ts';

const CLIENT = 'thermo.berlin';
const rights = (segment: string) => ({ segment, publish: [{ topic: 'dt/{segment}/{device}/#', qosMax: 1 as const }], subscribe: [] });

function block(...segments: string[]): string {
  const { rules } = compileAcl({ segments: segments.map(rights), refused: new Map(), age: () => 0, mode: 'owned' });
  return printBlock(rules, 'owned');
}

describe('the rules that name a segment', () => {
  it('are those of our block, without the other segments that share them', () => {
    const { kind, granted, lines } = aclOf(block('lab.berlin', 'office.berlin'), 'office.berlin');
    expect([kind, granted]).toEqual(['owned', true]);
    expect(lines).toEqual([expect.stringMatching(/^\{allow, \{client_attr, ?"seg", ?"office\.berlin"\}.*dt\//)]);
  });

  it('are none of a segment with a similar name', () => {
    expect(aclOf(block('office.berlin2', 'offices.berlin', 'officexberlin.a'), 'office.berlin')).toEqual({
      kind: 'owned',
      granted: false,
      lines: [],
    });
  });

  it('are those of others that name it', () => {
    const text = '{allow, {client_attr, "seg", "office.berlin"}, all, ["plant/#"]}.\n{allow, all}.\n';
    expect(aclOf(text, 'office.berlin')).toEqual({
      ...{ kind: 'foreign', granted: false },
      lines: ['{allow, {client_attr, "seg", "office.berlin"}, all, ["plant/#"]}.'],
    });
  });

  it('of a text that does not read are unknown', () => expect(aclOf('{allow', 'office.berlin').kind).toBe('unreadable'));

  it('whatever the text is, there is an answer', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (text, segment) => aclOf(text, segment).lines.length >= 0));
  });
});

describe('what EMQX holds of one client', () => {
  const asked = (emqx: FakeEmqx) => lookAtClient(createEmqx(emqx), { client: CLIENT, segment: 'office.berlin', md5s: ['m1'] });

  it('is its connection and the bans of its id and its certificate, and of nobody else', async () => {
    const emqx = new FakeEmqx(new FakeClock());
    emqx.clients.set(CLIENT, { clientid: CLIENT, username: 'm1', segment: 'office.berlin' });
    const record = { until: 'infinity', by: 'bob', reason: '' };
    for (const [as, who] of [
      ['clientid', CLIENT],
      ['username', 'm1'],
      ['clientid', 'm1'],
      ['username', CLIENT],
      ['clientid', 'air.berlin'],
    ] as const)
      emqx.bans.set(`${as} ${who}`, { as, who, ...record });
    const { client, bans } = await asked(emqx);
    expect(client).toMatchObject({ username: 'm1', segment: 'office.berlin', connected: true });
    expect(bans.map(({ as, who }) => `${as} ${who}`)).toEqual([`clientid ${CLIENT}`, 'username m1']);
    expect(emqx.writes).toEqual([]);
  });

  it.each([
    ['none', undefined],
    ['quarantine', recordOf({ client: CLIENT, kind: 'quarantine', rules: [] }).rules],
    ['moved', recordOf({ client: CLIENT, kind: 'moved', rules: [{ topic: 'a/b', permission: 'allow', action: 'publish' }] }).rules],
    ['foreign', [{ topic: 'plant/#', permission: 'allow', action: 'all' }]],
  ] as const)('its own rules are read as %s', async (kind, rules) => {
    const emqx = new FakeEmqx(new FakeClock());
    if (rules !== undefined)
      emqx.records.set(
        CLIENT,
        rules.map((rule) => ({ qos: [0, 1, 2], retain: 'all', ...rule })),
      );
    expect((await asked(emqx)).record).toBe(kind);
  });

  it('of the fleet is who is connected and who is banned', async () => {
    const emqx = new FakeEmqx(new FakeClock());
    emqx.clients.set(CLIENT, { clientid: CLIENT, username: 'm1', connected: false });
    const { clients, bans } = await lookAtFleet(createEmqx(emqx));
    expect([clients.get(CLIENT)?.connected, bans]).toEqual([false, []]);
  });
});
