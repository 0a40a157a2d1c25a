import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noAnswer } from './testing/fake-emqx.ts';
import { MD5, OFFICE, quarantined, RoomScene, revoked, rights, THERMO } from './testing/room.ts';

const TEXT = 'PUT /authorization/sources/file';
const thermo = { clientid: THERMO, username: MD5, segment: OFFICE };
const own = `cmd/${OFFICE}/${THERMO}/#`;

let scene: RoomScene;
beforeEach(() => {
  scene = new RoomScene();
});
afterEach(() => scene.stop());
const advance = (ms: number): Promise<void> => scene.clock.advance(ms);

describe('EMQX forgets', () => {
  beforeEach(async () => {
    scene.bans = [revoked('gone.berlin')];
    scene.overrides = [quarantined('ill.berlin')];
    await scene.start();
    await advance(5000);
  });

  it('the last bans at a restart: it is noticed within two seconds and repaired', async () => {
    scene.emqx.restart();
    scene.emqx.bans.delete('clientid gone.berlin');
    scene.emqx.clients.set('gone.berlin', { clientid: 'gone.berlin', username: 'd'.repeat(32), segment: OFFICE });
    await advance(2000);
    expect(scene.emqx.bans.has('clientid gone.berlin')).toBe(true);
    expect(scene.emqx.clients.has('gone.berlin')).toBe(false);
  });

  it('everything: bans, overrides, text, in this order, and whoever connected before is sent to connect again', async () => {
    scene.emqx.restart({ wipe: true });
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [] });
    const writes = await scene.writesOf(() => advance(2000));
    const order = [
      writes.indexOf('POST /banned'),
      writes.findIndex((call) => call.includes('/rules/clients/ill.berlin')),
      writes.indexOf(TEXT),
      writes.indexOf('POST /clients/kickout/bulk'),
    ];
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order[0]).toBe(0);
    expect(scene.emqx.kicked).toEqual([THERMO]);
    expect(scene.state()).toBe('ok');
  });

  it('everything, and somebody asks in the middle of the repair: it is told again at the end', async () => {
    const told: string[] = [];
    scene.emqx.fault = (call) => {
      if (call.method === 'PUT' && call.path.endsWith('/file')) told.push(scene.state());
      return undefined;
    };
    scene.emqx.restart({ wipe: true });
    scene.changes.length = 0;
    await advance(2000);
    expect(told).toEqual(['pending']);
    expect(scene.state()).toBe('ok');
    expect(scene.changes.flat()).toContain(THERMO);
  });

  it('everything, and a ban cannot be made: rights do not come back before it can', async () => {
    scene.emqx.fault = (call) =>
      call.method === 'POST' && call.path === '/banned' ? { status: 500, body: { code: 'INTERNAL_ERROR' } } : undefined;
    scene.emqx.restart({ wipe: true });
    await advance(10_000);
    expect(scene.emqx.text).toBe('{deny, all}.\n');
    expect(scene.state()).not.toBe('ok');
    scene.emqx.fault = undefined;
    await advance(3000);
    expect(scene.emqx.text).toContain('hedgerow:begin');
    expect(scene.state()).toBe('ok');
  });

  it('that the text was enabled: GET still gives it, nobody may do anything', async () => {
    scene.emqx.enabled = false;
    scene.emqx.clients.set(THERMO, { ...thermo });
    await advance(20_000);
    expect(scene.emqx.enabled).toBe(true);
    expect(scene.emqx.kicked).toEqual([THERMO]);
  });

  it('somebody replaces our text: on a broker that is known to be ours that is drift', async () => {
    scene.emqx.text = '{allow, all}.\n';
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: ['#'] });
    await advance(20_000);
    expect(scene.emqx.text).toContain('mode=owned');
    expect(scene.emqx.clients.has(THERMO)).toBe(false);
  });

  it('somebody adds a rule to our text: it goes, and so do the subscriptions that it let through', async () => {
    scene.emqx.text = `{allow, all}.\n${scene.emqx.text}`;
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own, '#'] });
    await advance(20_000);
    expect(scene.emqx.text.startsWith('%% hedgerow:begin')).toBe(true);
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([own]);
  });

  it('a subscription that slipped through is found within a minute', async () => {
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own, 'cmd/other/#'] });
    await advance(90_000);
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([own]);
  });

  it('the built-in database: it is made again, in front of the file', async () => {
    scene.emqx.sources = ['file'];
    await advance(20_000);
    expect(scene.emqx.sources).toEqual(['built_in_database', 'file']);
  });
});

describe('an EMQX that others use', () => {
  const FOREIGN = '{allow, {username,"bob"}, all, ["plant/#"]}.\n{allow, all}.\n';

  beforeEach(async () => {
    scene.bans = [revoked('gone.berlin')];
    scene.emqx.text = FOREIGN;
    scene.emqx.clients.set('stranger', { clientid: 'stranger', username: 'bob', subscriptions: ['plant/#'] });
    scene.verdicts.set('stranger', 'unknown');
    await scene.start();
  });

  it('is only read until it is adopted, and every Device says so', async () => {
    scene.room.wake('revoked', true, 'gone.berlin');
    await advance(60_000);
    expect(scene.emqx.writes).toEqual([]);
    expect(scene.room.authorization(THERMO, OFFICE)).toMatchObject({ state: 'foreign', reason: 'ForeignAcl' });
    expect(scene.room.authorization(THERMO, OFFICE).message).toContain('kubectl hedgerow adopt broker');
  });

  it('adopted: our block stands in front, their rules, records, bans and clients stay', async () => {
    const record = [{ topic: 'plant/1', permission: 'allow', action: 'all', qos: [0, 1, 2], retain: 'all' }];
    scene.emqx.records.set('other.plant', record);
    scene.emqx.text = `%% hedgerow:begin mode=guest x\n%% hedgerow:end\n${FOREIGN}`;
    await advance(10_000);
    expect(scene.emqx.text.endsWith(FOREIGN)).toBe(true);
    expect(scene.emqx.text).toContain('{deny, {client_attr,"seg",{re,"^[a-z0-9-]+[.][a-z0-9-]+$"}}, all, all}.\n%% hedgerow:end');
    expect(scene.state()).toBe('ok');
    expect(scene.emqx.bans.has('clientid gone.berlin')).toBe(true);
    await advance(60_000);
    expect(scene.emqx.kicked).toEqual([]);
    expect(scene.emqx.records.get('other.plant')).toBe(record);
  });

  it('adopted: what others wrote a moment ago is not lost under our next text', async () => {
    scene.emqx.text = `%% hedgerow:begin mode=guest x\n%% hedgerow:end\n${FOREIGN}`;
    await advance(10_000);
    scene.emqx.text += '{deny, {username,"eve"}, all, all}.\n';
    scene.segments = [...scene.segments, rights('new.berlin')];
    scene.room.wake('a policy');
    await advance(400);
    expect(scene.state(THERMO, 'new.berlin')).toBe('ok');
    expect(scene.emqx.text).toContain('"eve"');
  });

  it('adopted: a record of theirs that gives one of our devices rights is reported on that device only', async () => {
    scene.emqx.text = `%% hedgerow:begin mode=guest x\n%% hedgerow:end\n${FOREIGN}`;
    scene.emqx.records.set(THERMO, [{ topic: 'plant/#', permission: 'allow', action: 'all', qos: [0, 1, 2], retain: 'all' }]);
    await advance(10_000);
    expect(scene.room.authorization(THERMO, OFFICE)).toMatchObject({ state: 'unsafe', reason: 'ForeignRecord' });
    expect(scene.state('other.berlin')).toBe('ok');
    expect(scene.emqx.records.has(THERMO)).toBe(true);
  });

  it('adopted: our own devices are judged like everywhere', async () => {
    scene.emqx.text = `%% hedgerow:begin mode=guest x\n%% hedgerow:end\n${FOREIGN}`;
    scene.verdicts.set(MD5, 'revoked');
    await advance(10_000);
    scene.emqx.clients.set(THERMO, { ...thermo });
    await advance(20_000);
    expect(scene.emqx.kicked).toEqual([THERMO]);
  });
});

describe('an EMQX that does not answer', () => {
  beforeEach(() => scene.start());

  it('for a moment: no Device hears of it', async () => {
    scene.emqx.fault = noAnswer;
    await advance(3000);
    scene.emqx.fault = undefined;
    await advance(3000);
    expect(scene.changes).toEqual(['all']);
    expect(scene.state()).toBe('ok');
  });

  it.each<[string, () => { status: number; body: unknown }, string]>([
    ['refuses connections', noAnswer, 'HR-BRK-001'],
    ['does not know the key', () => ({ status: 401, body: { code: 'BAD_API_KEY_OR_SECRET' } }), 'HR-BRK-002'],
    ['lets the key do too little', () => ({ status: 403, body: { code: 'UNAUTHORIZED_ROLE' } }), 'HR-BRK-003'],
    ['fails', () => ({ status: 500, body: { code: 'INTERNAL_ERROR', message: 'Basic c2VjcmV0OnNlY3JldA==' } }), 'HR-BRK-004'],
    ['answers something else', () => ({ status: 200, body: { hello: 'world' } }), 'HR-BRK-005'],
    ['answers nothing', () => ({ status: 200, body: undefined }), 'HR-BRK-005'],
  ])(
    '%s: Devices say so after a while, it is asked no more than a few times a second, and all is well afterwards',
    async (_name, fault, code) => {
      scene.emqx.fault = fault;
      const before = scene.emqx.calls.length;
      scene.bans = [revoked(THERMO)];
      for (let i = 0; i < 60; i++) {
        scene.room.wake('something', true, THERMO);
        await advance(1000);
      }
      expect(scene.emqx.calls.length - before).toBeLessThan(60 * 6);
      expect(scene.room.authorization('other.berlin', OFFICE)).toMatchObject({ state: 'unreachable', reason: 'BrokerUnreachable' });
      expect(scene.room.authorization('other.berlin', OFFICE).message).toContain(code);
      expect(scene.changes.filter((change) => change === 'all')).toHaveLength(2);
      expect(scene.lines.join('\n')).not.toContain('c2VjcmV0OnNlY3JldA==');
      scene.emqx.fault = undefined;
      await advance(3000);
      expect(scene.room.banned(THERMO)).toBe(true);
      expect(scene.state('other.berlin')).toBe('ok');
    },
  );

  it.each(Array.from({ length: 25 }, (_, i) => 4000 + i * 100))(
    'for %i ms: whoever was told so in between is told when it is over',
    async (lastsMs) => {
      scene.emqx.fault = noAnswer;
      for (let passed = 0; passed < lastsMs; passed += 20) await advance(20);
      const told = scene.room.authorization(THERMO, OFFICE).state;
      scene.changes.length = 0;
      scene.emqx.fault = undefined;
      await advance(5000);
      expect(scene.room.authorization(THERMO, OFFICE).state).toBe('ok');
      expect(scene.changes.includes('all')).toBe(told === 'unreachable');
    },
  );

  it('to one ban only: the others are made, the text follows its policies, and no Device is told that the broker is gone', async () => {
    scene.emqx.fault = (call) =>
      call.path === '/banned' && call.method === 'POST' && (call.body as { who: string }).who === 'odd.berlin'
        ? { status: 500, body: { code: 'INTERNAL_ERROR' } }
        : undefined;
    scene.bans = [revoked('odd.berlin'), revoked('gone.berlin')];
    scene.segments = [...scene.segments, rights('new.berlin')];
    scene.room.wake('several', true, 'odd.berlin');
    await advance(30_000);
    expect(scene.room.banned('gone.berlin')).toBe(true);
    expect(scene.room.banned('odd.berlin')).toBe(false);
    expect(scene.state(THERMO, 'new.berlin')).toBe('ok');
    scene.emqx.fault = undefined;
    await advance(3000);
    expect(scene.room.banned('odd.berlin')).toBe(true);
  });

  it('with the text that was written: it is no success, and it is written again', async () => {
    let times = 0;
    const honest = scene.emqx.text;
    scene.emqx.lostAnswer = (call) => {
      if (call.method === 'PUT' && call.path.endsWith('/file') && times++ < 3) scene.emqx.text = honest;
      return undefined;
    };
    scene.segments = [...scene.segments, rights('new.berlin')];
    scene.room.wake('a policy');
    await advance(200);
    expect(scene.state(THERMO, 'new.berlin')).toBe('pending');
    await advance(10_000);
    expect(times).toBe(4);
    expect(scene.state(THERMO, 'new.berlin')).toBe('ok');
  });

  it('with a text that it has switched off again: that is no success either', async () => {
    let times = 0;
    scene.emqx.lostAnswer = (call) => {
      if (call.method === 'PUT' && call.path.endsWith('/file') && times++ < 3) scene.emqx.enabled = false;
      return undefined;
    };
    scene.segments = [...scene.segments, rights('new.berlin')];
    scene.room.wake('a policy');
    await advance(200);
    expect(scene.state(THERMO, 'new.berlin')).toBe('pending');
    await advance(10_000);
    expect(scene.emqx.enabled).toBe(true);
    expect(scene.state(THERMO, 'new.berlin')).toBe('ok');
  });

  it('is not asked at every wake', async () => {
    scene.emqx.fault = noAnswer;
    await advance(10_000);
    const before = scene.emqx.calls.length;
    scene.bans = [revoked(THERMO)];
    for (let i = 0; i < 200; i++) {
      scene.room.wake('revoked', true, THERMO);
      await advance(50);
    }
    expect(scene.emqx.calls.length - before).toBeLessThan(60);
  });

  it('in time: a revocation that met the outage is there seconds after it', async () => {
    scene.emqx.fault = noAnswer;
    scene.bans = [revoked(THERMO)];
    scene.room.wake('revoked', true, THERMO);
    await advance(60_000);
    scene.emqx.fault = undefined;
    scene.emqx.restart();
    await advance(2500);
    expect(scene.room.banned(THERMO)).toBe(true);
  });
});
