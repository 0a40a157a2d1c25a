import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MD5, OFFICE, quarantined, RoomScene, revoked, rights, THERMO } from './testing/room.ts';

const TEXT = 'PUT /authorization/sources/file';
const RECORD = `PUT /authorization/sources/built_in_database/rules/clients/${THERMO}`;
const thermo = { clientid: THERMO, username: MD5, segment: OFFICE };

let scene: RoomScene;
beforeEach(() => {
  scene = new RoomScene();
});
afterEach(() => scene.stop());
const advance = (ms: number): Promise<void> => scene.clock.advance(ms);

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

  it('of 40 certificates at once throws out those who hold them, and nobody else', async () => {
    const md5 = (i: number): string => String(i).padStart(32, '0');
    for (let i = 0; i < 40; i++)
      scene.emqx.clients.set(`d${i}.berlin`, { clientid: `d${i}.berlin`, username: md5(i + (i % 2) * 100), segment: OFFICE });
    scene.bans = Array.from({ length: 40 }, (_, i) => revoked(md5(i), 'username'));
    scene.room.wake('an incident', true);
    await advance(0);
    expect([...scene.emqx.kicked].sort()).toEqual(Array.from({ length: 20 }, (_, i) => `d${2 * i}.berlin`).sort());
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
