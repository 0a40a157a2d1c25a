import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ban } from './broker.ts';
import { noAnswer } from './testing/fake-emqx.ts';
import { LAB, MD5, OFFICE, quarantined, RoomScene, revoked, rights, THERMO } from './testing/room.ts';

const thermo = { clientid: THERMO, username: MD5, segment: OFFICE };
const own = `cmd/${OFFICE}/${THERMO}/#`;

let scene: RoomScene;
beforeEach(() => {
  scene = new RoomScene();
});
afterEach(() => scene.stop());
const advance = (ms: number): Promise<void> => scene.clock.advance(ms);

describe('quarantine', () => {
  beforeEach(async () => {
    await scene.start();
    expect(scene.state()).toBe('ok');
  });

  it('counts when the record was read back, the cache is gone and the session kicked; until then the device is pending', async () => {
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own, `recovery/${THERMO}/#`, `$share/g/${own}`] });
    await advance(1000);
    scene.overrides = [quarantined(THERMO)];
    scene.room.wake('quarantine', true, THERMO);
    expect(scene.state()).toBe('pending');
    await advance(0);
    expect(scene.state()).toBe('ok');
    expect(scene.emqx.cachesCleared).toEqual([THERMO]);
    expect(scene.emqx.kicked).toEqual([THERMO]);
    expect(scene.changes.at(-1)).toEqual([THERMO]);
  });

  it('that stands is not written again: a device that came back is left in peace', async () => {
    scene.overrides = [quarantined(THERMO)];
    scene.room.wake('quarantine', true, THERMO);
    await advance(500);
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [`recovery/${THERMO}/#`] });
    await advance(120_000);
    expect(scene.emqx.kicked).toEqual([]);
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([`recovery/${THERMO}/#`]);
  });

  it('that was not looked at yet, because another was a moment ago: the device is pending, nobody else is', async () => {
    await advance(1000);
    scene.room.wake('something', true);
    await advance(1);
    scene.overrides = [quarantined(THERMO)];
    scene.room.wake('quarantine', true, THERMO);
    expect([scene.state(), scene.state('other.berlin')]).toEqual(['pending', 'ok']);
    await advance(100);
    expect(scene.state()).toBe('ok');
    expect(scene.emqx.records.has(THERMO)).toBe(true);
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
    expect(scene.emqx.records.get(THERMO)).toHaveLength(11);
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

describe('the end of a move', () => {
  const fresh = `cmd/${LAB}/${THERMO}/#`;
  const next = 'b'.repeat(32);
  const banOfOld: Ban = { ...revoked(MD5, 'username'), by: `hedgerow/${THERMO}` };
  beforeEach(async () => {
    scene.placed.set(THERMO, LAB);
    scene.overrides = [{ client: THERMO, kind: 'moved', rules: [{ topic: fresh, permission: 'allow', action: 'subscribe' }] }];
    await scene.start();
    expect(scene.room.ownRules(THERMO)).toEqual({ held: true, durable: false, connectedWith: undefined });
    await advance(8_000);
    expect(scene.room.ownRules(THERMO)).toEqual({ held: true, durable: true, connectedWith: undefined });
  });

  it('tells with which certificate the device is connected, when it changes', async () => {
    scene.emqx.clients.set(THERMO, { ...thermo, segment: LAB, username: next });
    await advance(60_000);
    expect(scene.room.ownRules(THERMO).connectedWith).toBe(next);
    expect(scene.changes.at(-1)).toEqual([THERMO]);
    const told = scene.changes.length;
    await advance(60_000);
    expect(scene.changes).toHaveLength(told);
    scene.emqx.clients.set(THERMO, { ...thermo, segment: LAB, username: next, connected: false });
    await advance(60_000);
    expect(scene.room.ownRules(THERMO).connectedWith).toBeUndefined();
  });

  it('the rules stay for as long as the ban of an old certificate cannot be made', async () => {
    scene.emqx.fault = ({ method, path }) =>
      method === 'POST' && path === '/banned' ? { status: 400, body: { code: 'BAD_REQUEST' } } : undefined;
    scene.bans = [banOfOld];
    scene.overrides = [];
    scene.room.wake('the old certificate is revoked');
    await advance(60_000);
    expect([scene.emqx.bans.has(`username ${MD5}`), scene.room.ownRules(THERMO).held]).toEqual([false, true]);
    scene.emqx.fault = undefined;
    await advance(60_000);
    expect([scene.emqx.bans.has(`username ${MD5}`), scene.room.ownRules(THERMO).held]).toEqual([true, false]);
  });

  it('the ban comes before the rules go, also when the operator is new and the broker has nothing of it', async () => {
    scene.bans = [banOfOld];
    scene.overrides = [];
    const writes = await scene.writesOf(async () => {
      scene.room.wake('the old certificate is revoked');
      await advance(500);
    });
    const [ban, gone] = [
      writes.indexOf('POST /banned'),
      writes.findIndex((call) => call.startsWith('DELETE') && call.endsWith(`/${THERMO}`)),
    ];
    expect(ban).toBeGreaterThan(-1);
    expect(gone).toBeGreaterThan(ban);
  });

  it.each([true, false])('ends the session that a certificate of the old segment made, connected: %s', async (connected) => {
    scene.emqx.clients.set(THERMO, { ...thermo, connected, subscriptions: [fresh] });
    scene.overrides = [];
    scene.room.wake('the old certificate has expired');
    await advance(500);
    expect([scene.emqx.kicked, scene.emqx.records.size]).toEqual([[THERMO], 0]);
  });

  it('an expired certificate of the old segment, of which the ledger knows nothing any more, gives no subscription', async () => {
    scene.overrides = [];
    scene.room.wake('forgotten');
    await advance(500);
    scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own] });
    await advance(200_000);
    expect(scene.emqx.clients.get(THERMO)?.subscriptions).toEqual([]);
  });
});

describe('what waits in a session whose subscriptions are taken away', () => {
  const narrow = (): void => {
    scene.segments = [rights(OFFICE, 'cmd/{segment}/{device}/reboot'), rights(LAB)];
    scene.room.wake('a policy');
  };
  const waits = (pending: number): void => void scene.emqx.clients.set(THERMO, { ...thermo, subscriptions: [own], pending });
  beforeEach(() => scene.start());

  it('is waited for while the device acknowledges it', async () => {
    waits(3);
    narrow();
    await advance(300);
    waits(0);
    await advance(2000);
    expect(scene.emqx.kicked).toEqual([]);
  });

  it('goes with the session when the device does not', async () => {
    waits(3);
    narrow();
    await advance(2000);
    expect(scene.emqx.kicked).toEqual([THERMO]);
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
    const told: string[] = [];
    scene.room.onExcluded((segments) => void told.push(...segments));
    const more = Array.from({ length: 10 }, (_, i) => rights(`s${i}.berlin`, `cmd/${i}/x`));
    scene.segments = [rights(LAB, 'cmd/tightened'), ...more, { ...rights('bad.berlin'), publish: [{ topic: 'bad/x' }] }, rights(OFFICE)];
    scene.room.wake('policies');
    await advance(500);
    expect(scene.room.authorization(THERMO, 'bad.berlin')).toMatchObject({ state: 'excluded', reason: 'SegmentRefused' });
    expect(scene.room.exclusion('bad.berlin')).toMatchObject({ reason: 'SegmentRefused' });
    expect([told, scene.room.exclusion(LAB)]).toEqual([['bad.berlin'], undefined]);
    for (const { segment } of [...more, rights(OFFICE)]) expect(scene.state(`x.${segment}`, segment)).toBe('ok');
    expect(scene.emqx.text).toContain('"cmd/tightened"');
    expect(scene.emqx.text).toMatch(/[{]deny, [{]client_attr,"seg",[{]re,"\^[(][?]:bad\[[.]\]berlin[)][$]"[}][}], all, all[}]/);
    expect(await scene.writesOf(() => advance(40_000))).toEqual([]);
    scene.segments = scene.segments.map((one) => (one.segment === 'bad.berlin' ? rights('bad.berlin') : one));
    scene.room.wake('a policy');
    await advance(500);
    expect(scene.state(THERMO, 'bad.berlin')).toBe('ok');
    expect([told, scene.room.exclusion('bad.berlin')]).toEqual([['bad.berlin', 'bad.berlin'], undefined]);
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
