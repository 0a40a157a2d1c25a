import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noAnswer } from './testing/fake-emqx.ts';
import { LAB, MD5, OFFICE, quarantined, RoomScene, revoked, rights, THERMO } from './testing/room.ts';

const TEXT = 'PUT /authorization/sources/file';
const RECORD = `PUT /authorization/sources/built_in_database/rules/clients/${THERMO}`;
const thermo = { clientid: THERMO, username: MD5, segment: OFFICE };
const own = `cmd/${OFFICE}/${THERMO}/#`;

let scene: RoomScene;
beforeEach(() => {
  scene = new RoomScene();
});
afterEach(() => scene.stop());
const { advance } = { advance: (ms: number) => scene.clock.advance(ms) };

describe('at the start', () => {
  it('bans come first, then overrides, then the text, then removals', async () => {
    scene.bans = [revoked('gone.berlin')];
    scene.overrides = [quarantined(THERMO)];
    scene.emqx.bans.set('clientid old.berlin', {
      as: 'clientid',
      who: 'old.berlin',
      until: 'infinity',
      by: 'hedgerow/old.berlin',
      reason: '',
    });
    await scene.start();
    const writes = scene.emqx.writes.filter((call) => !call.includes('/clients/thermo'));
    expect(writes).toEqual(['POST /banned', 'POST /banned', TEXT, 'DELETE /banned/clientid/old.berlin']);
    expect(scene.emqx.writes.indexOf(RECORD)).toBeLessThan(scene.emqx.writes.indexOf(TEXT));
    expect([...scene.emqx.bans.keys()].sort()).toEqual(['clientid gone.berlin', 'clientid invalid-certificate']);
  });

  it('a device is pending until its segment was read back, then authorized; everybody is told once', async () => {
    expect(scene.state()).toBe('pending');
    await scene.start();
    expect(scene.state()).toBe('ok');
    expect(scene.changes).toEqual(['all']);
    expect(scene.state(THERMO, 'nowhere.berlin')).toBe('pending');
  });

  it('nothing is written before the operator knows what it wants', async () => {
    scene.notReady = new Error('the caches are not filled');
    await scene.start();
    await advance(10_000);
    expect(scene.emqx.writes).toEqual([]);
    scene.notReady = undefined;
    await advance(1000);
    expect(scene.state()).toBe('ok');
  });

  it('bans of others stay, whatever they are', async () => {
    for (const by of ['alice', 'operator/hedgerow', 'flapping detector'])
      scene.emqx.bans.set(`clientid ${by}`, { as: 'clientid', who: by, until: 'infinity', by, reason: '' });
    await scene.start();
    await advance(40_000);
    expect([...scene.emqx.bans.keys()]).toEqual(
      expect.arrayContaining(['clientid alice', 'clientid operator/hedgerow', 'clientid flapping detector']),
    );
  });
});

describe('when nothing changes', () => {
  beforeEach(() => scene.start());

  it('nothing is written, and reads are a pulse a second and one full read in a quarter of a minute', async () => {
    const before = scene.emqx.calls.length;
    await advance(60_000);
    expect(scene.emqx.writes.length).toBe(scene.emqx.calls.slice(0, before).filter((call) => !call.startsWith('GET')).length);
    const calls = scene.emqx.calls.slice(before);
    expect(calls.filter((call) => call === 'GET /nodes').length).toBeLessThanOrEqual(61);
    expect(calls.filter((call) => call === 'GET /banned').length).toBeLessThanOrEqual(6);
    expect(scene.changes).toEqual(['all']);
  });

  it('500 wakes in a second cost a few questions to the operator and none to the broker', async () => {
    const before = scene.emqx.calls.length;
    const asked = scene.asked;
    for (let i = 0; i < 500; i++) {
      scene.room.wake(`device ${i} has a certificate`);
      await advance(2);
    }
    await advance(500);
    expect(scene.emqx.calls.slice(before).filter((call) => call !== 'GET /nodes')).toEqual([]);
    expect(scene.asked - asked).toBeLessThanOrEqual(8);
  });

  it('100 policies in a burst are one text', async () => {
    const writes = await scene.writesOf(async () => {
      for (let i = 0; i < 100; i++) {
        scene.segments = [...scene.segments, rights(`s${i}.berlin`)];
        scene.room.wake('a policy');
      }
      await advance(400);
    });
    expect(writes).toEqual([TEXT]);
    expect(scene.state(THERMO, 's99.berlin')).toBe('ok');
  });
});

describe('a revocation', () => {
  beforeEach(() => scene.start());

  it('is at the broker at once, without waiting for the batch', async () => {
    await advance(1000);
    scene.emqx.clients.set(THERMO, { ...thermo });
    scene.bans = [revoked(THERMO), revoked(MD5, 'username')];
    scene.room.wake('revoked', true, THERMO);
    await advance(0);
    expect(scene.emqx.bans.has(`clientid ${THERMO}`)).toBe(true);
    expect(scene.emqx.bans.has(`username ${MD5}`)).toBe(true);
    expect(scene.emqx.clients.size).toBe(0);
    expect(scene.room.banned(THERMO)).toBe(true);
    expect(scene.changes.at(-1)).toEqual([THERMO]);
  });

  it('of one certificate kicks only while that certificate is connected, never its successor', async () => {
    scene.emqx.clients.set(THERMO, { ...thermo, username: 'b'.repeat(32) });
    scene.bans = [revoked(MD5, 'username')];
    scene.room.wake('rotated', true);
    await advance(100);
    expect(scene.emqx.bans.has(`username ${MD5}`)).toBe(true);
    expect(scene.emqx.kicked).toEqual([]);
  });

  it('bans before it kicks', async () => {
    scene.emqx.clients.set(THERMO, { ...thermo });
    scene.bans = [revoked(MD5, 'username')];
    const writes = await scene.writesOf(() => {
      scene.room.wake('revoked', true);
      return advance(50);
    });
    expect(writes).toEqual(['POST /banned', `DELETE /clients/${THERMO}`]);
  });

  it('of 200 devices at once: eight in flight, one list of clients for all certificates', async () => {
    scene.bans = Array.from({ length: 200 }, (_, i) => [revoked(`d${i}.berlin`), revoked(String(i).padStart(32, '0'), 'username')]).flat();
    for (let i = 0; i < 200; i++)
      scene.emqx.clients.set(`d${i}.berlin`, { clientid: `d${i}.berlin`, username: String(i).padStart(32, '0'), segment: OFFICE });
    const before = scene.emqx.calls.length;
    scene.room.wake('an incident', true);
    await advance(0);
    expect(scene.emqx.bans.size).toBe(401);
    expect(scene.emqx.clients.size).toBe(0);
    expect(scene.emqx.mostInFlight).toBeLessThanOrEqual(10);
    expect(scene.emqx.calls.slice(before).filter((call) => call === 'GET /clients').length).toBeLessThanOrEqual(2);
  });

  it('that is undone is taken back with the batch, and never before what is new', async () => {
    scene.bans = [revoked(THERMO)];
    scene.room.wake('revoked', true);
    await advance(500);
    scene.bans = [revoked('other.berlin')];
    const writes = await scene.writesOf(() => {
      scene.room.wake('changed', true);
      return advance(500);
    });
    expect(writes).toEqual(['POST /banned', `DELETE /banned/clientid/${THERMO}`]);
    expect(scene.room.banned(THERMO)).toBe(false);
  });

  it('that is over by the clock of the broker is no failure', async () => {
    scene.bans = [{ ...revoked(MD5, 'username'), until: new Date(scene.clock.now()).toISOString() }];
    scene.room.wake('late', true);
    await advance(3000);
    expect(scene.state()).toBe('ok');
    expect(scene.lines.filter((line) => line.includes('tried again'))).toEqual([]);
  });

  it('replaces a record of the flapping detector, and takes one away from a device that is not revoked', async () => {
    const flapping = {
      as: 'clientid',
      until: new Date(scene.clock.now() + 300_000).toISOString(),
      by: 'flapping detector',
      reason: 'flapping is detected',
    };
    scene.emqx.bans.set(`clientid ${THERMO}`, { ...flapping, who: THERMO });
    scene.emqx.bans.set('clientid lamp.berlin', { ...flapping, who: 'lamp.berlin' });
    scene.bans = [revoked(THERMO)];
    scene.room.wake('revoked', true);
    await advance(20_000);
    expect(scene.emqx.bans.get(`clientid ${THERMO}`)?.by).toBe(`hedgerow/${THERMO}`);
    expect(scene.emqx.bans.has('clientid lamp.berlin')).toBe(false);
  });
});

describe('quarantine', () => {
  beforeEach(async () => {
    await scene.start();
    expect(scene.state()).toBe('ok');
  });

  it('counts when the record was read back, the cache is gone and so are the subscriptions; until then the device is pending', async () => {
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own, `recovery/${THERMO}/#`, `$share/g/${own}`] });
    await advance(1000);
    scene.overrides = [quarantined(THERMO)];
    scene.room.wake('quarantine', true, THERMO);
    expect(scene.state()).toBe('pending');
    await advance(0);
    expect(scene.state()).toBe('ok');
    expect(scene.emqx.cachesCleared).toEqual([THERMO]);
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([`recovery/${THERMO}/#`]);
    expect(scene.emqx.kicked).toEqual([]);
    expect(scene.changes.at(-1)).toEqual([THERMO]);
  });

  it('discards the session of a client that is away', async () => {
    scene.emqx.clients.set(THERMO, { ...thermo, connected: false, subscriptions: [own] });
    scene.overrides = [quarantined(THERMO)];
    scene.room.wake('quarantine', true, THERMO);
    await advance(100);
    expect(scene.emqx.clients.has(THERMO)).toBe(false);
  });

  it('that ends makes the device connect anew: what was taken away does not come back by itself', async () => {
    scene.overrides = [quarantined(THERMO)];
    scene.room.wake('quarantine', true, THERMO);
    await advance(500);
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [] });
    scene.overrides = [];
    scene.room.wake('released', true, THERMO);
    await advance(500);
    expect(scene.emqx.records.size).toBe(0);
    expect(scene.emqx.kicked).toEqual([THERMO]);
    expect(scene.state()).toBe('ok');
  });

  it('is written again when somebody changes the record', async () => {
    scene.overrides = [quarantined(THERMO)];
    scene.room.wake('quarantine', true, THERMO);
    await advance(500);
    scene.emqx.records.set(THERMO, [{ topic: '#', permission: 'allow', action: 'all', qos: [0, 1, 2], retain: 'all' }]);
    await advance(20_000);
    expect(scene.emqx.records.get(THERMO)).toHaveLength(9);
  });
});

describe('a device that moved', () => {
  it('has its new rights at once, and loses the subscriptions of the old segment without being kicked', async () => {
    await scene.start();
    const fresh = `cmd/${LAB}/${THERMO}/#`;
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own, fresh] });
    expect(scene.state()).toBe('ok');
    scene.overrides = [{ client: THERMO, kind: 'moved', rules: [{ topic: fresh, permission: 'allow', action: 'subscribe' }] }];
    expect(scene.state(THERMO, LAB)).toBe('pending');
    await advance(500);
    expect(scene.state(THERMO, LAB)).toBe('ok');
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([fresh]);
    expect(scene.emqx.kicked).toEqual([]);
  });

  it('with a new certificate: the record goes, what the new segment grants stays', async () => {
    const fresh = `cmd/${LAB}/${THERMO}/#`;
    scene.overrides = [{ client: THERMO, kind: 'moved', rules: [{ topic: fresh, permission: 'allow', action: 'subscribe' }] }];
    await scene.start();
    scene.emqx.clients.set(THERMO, { ...thermo, segment: LAB, subscriptions: [fresh] });
    scene.overrides = [];
    scene.room.wake('renewed');
    await advance(500);
    expect(scene.emqx.records.size).toBe(0);
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([fresh]);
  });
});

describe('policies', () => {
  beforeEach(async () => {
    await scene.start();
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own] });
    scene.emqx.clients.set('probe.berlin', {
      clientid: 'probe.berlin',
      username: 'c'.repeat(32),
      segment: LAB,
      subscriptions: ['cmd/lab.berlin/probe.berlin/#'],
    });
  });

  it('one that grants less: its devices lose what is not covered, others notice nothing (promise 4)', async () => {
    scene.segments = [rights(OFFICE, 'cmd/{segment}/{device}/reboot'), rights(LAB)];
    scene.room.wake('a policy');
    await advance(500);
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([]);
    expect(scene.emqx.clients.get('probe.berlin')?.subscriptions).toHaveLength(1);
    expect(scene.emqx.kicked).toEqual([]);
  });

  it('one that is deleted ends the sessions of its segment and opens nothing', async () => {
    scene.segments = [rights(LAB)];
    scene.room.wake('a policy');
    await advance(500);
    expect(scene.emqx.kicked).toEqual([THERMO]);
    expect(scene.emqx.text).not.toContain('office');
    expect(scene.emqx.text.trimEnd().split('\n').at(-2)).toBe('{deny, all}.');
    expect(scene.state()).toBe('pending');
  });

  it('one that comes back: those who were refused meanwhile connect anew', async () => {
    scene.segments = [rights(LAB)];
    scene.room.wake('a policy');
    await advance(500);
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [] });
    scene.segments = [rights(OFFICE), rights(LAB)];
    scene.room.wake('a policy');
    await advance(500);
    expect(scene.emqx.kicked).toEqual([THERMO, THERMO]);
    expect(scene.emqx.clients.has('probe.berlin')).toBe(true);
  });

  it('the answer to a text is lost after EMQX took it: what it took away is taken away all the same', async () => {
    let once = true;
    scene.emqx.lostAnswer = (call) => {
      if (call.method !== 'PUT' || !call.path.endsWith('/file') || !once) return undefined;
      once = false;
      return noAnswer();
    };
    scene.segments = [rights(LAB)];
    scene.room.wake('a policy');
    await advance(2000);
    expect(once).toBe(false);
    expect(scene.emqx.kicked).toEqual([THERMO]);
  });

  it('a segment that EMQX refuses is denied and named, all others are in force, and it is tried again when it changes', async () => {
    scene.emqx.refuses = /bad\/x/;
    const more = Array.from({ length: 10 }, (_, i) => rights(`s${i}.berlin`, `cmd/${i}/x`));
    scene.segments = [rights(LAB, 'cmd/tightened'), ...more, { ...rights('bad.berlin'), publish: [{ topic: 'bad/x' }] }, rights(OFFICE)];
    scene.room.wake('policies');
    await advance(500);
    expect(scene.room.authorization(THERMO, 'bad.berlin')).toMatchObject({ state: 'excluded', reason: 'SegmentRefused' });
    for (const { segment } of [...more, rights(OFFICE)]) expect(scene.state(`x.${segment}`, segment)).toBe('ok');
    expect(scene.emqx.text).toContain('"cmd/tightened"');
    expect(scene.emqx.text).toMatch(/[{]deny, [{]client_attr,"seg",[{]re,"\^[(][?]:bad\[[.]\]berlin[)][$]"[}][}], all, all[}]/);
    expect(await scene.writesOf(() => advance(40_000))).toEqual([]);
    scene.segments = scene.segments.map((one) => (one.segment === 'bad.berlin' ? rights('bad.berlin') : one));
    scene.room.wake('a policy');
    await advance(500);
    expect(scene.state(THERMO, 'bad.berlin')).toBe('ok');
  });
});

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

describe('who is connected', () => {
  beforeEach(() => scene.start());

  it('a certificate in no ledger is banned and thrown out; once it is known, the ban goes', async () => {
    scene.verdicts.set(MD5, 'unknown');
    scene.emqx.clients.set(THERMO, { ...thermo });
    await advance(20_000);
    expect(scene.emqx.bans.get(`username ${MD5}`)?.by).toBe('hedgerow/unknown');
    expect(scene.emqx.kicked).toEqual([THERMO]);
    scene.verdicts.delete(MD5);
    await advance(20_000);
    expect(scene.emqx.bans.has(`username ${MD5}`)).toBe(false);
  });

  it('a name without an active Device is thrown out', async () => {
    scene.verdicts.set(THERMO, 'inactive');
    scene.emqx.clients.set(THERMO, { ...thermo });
    await advance(20_000);
    expect(scene.emqx.kicked).toEqual([THERMO]);
    expect(scene.emqx.bans.has(`username ${MD5}`)).toBe(false);
  });

  it('on a broker of our own, also what has not our form', async () => {
    scene.verdicts.set('stranger', 'unknown');
    scene.emqx.clients.set('stranger', { clientid: 'stranger', username: 'bob' });
    await advance(20_000);
    expect(scene.emqx.kicked).toEqual(['stranger']);
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

describe('posture', () => {
  it('unsafe settings make every Device unsafe until they are undone', async () => {
    await scene.start();
    scene.emqx.listeners = [...scene.emqx.listeners, { id: 'tcp:default', enable: true, bind: '0.0.0.0:1883' }];
    await advance(20_000);
    const { state, reason, message } = scene.room.authorization(THERMO, OFFICE);
    expect([state, reason]).toEqual(['unsafe', 'BrokerUnsafe']);
    expect(message).toContain('HR-BRK-010');
    expect(scene.changes).toEqual(['all', 'all']);
    scene.emqx.listeners = scene.emqx.listeners.slice(0, 1);
    await advance(20_000);
    expect(scene.state()).toBe('ok');
  });

  it('the ban of certificates of another form is part of it and comes back', async () => {
    await scene.start();
    scene.emqx.bans.delete('clientid invalid-certificate');
    await advance(20_000);
    expect(scene.emqx.bans.has('clientid invalid-certificate')).toBe(true);
    expect(scene.state()).toBe('ok');
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
