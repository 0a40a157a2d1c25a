import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MD5, OFFICE, RoomScene, revoked, THERMO } from './testing/room.ts';

const NEW = 'b'.repeat(32);
let scene: RoomScene;
const hold = (username: string): void => void scene.emqx.clients.set(THERMO, { clientid: THERMO, username, segment: OFFICE });

beforeEach(async () => {
  scene = new RoomScene();
  await scene.start();
  // The first text sends everybody away once.
  hold(MD5);
  await scene.clock.advance(20_000);
});
afterEach(() => scene.stop());

describe('the certificate that a device uses', () => {
  it('is known from the list of clients, and a change of it is told', async () => {
    expect(scene.room.inUse(THERMO)).toBe(MD5);
    scene.changes.length = 0;
    hold(NEW);
    await scene.clock.advance(20_000);
    expect(scene.room.inUse(THERMO)).toBe(NEW);
    expect(scene.changes.flat()).toContain(THERMO);
  });

  it('that is superseded is told when the device comes back with it', async () => {
    scene.superseded.add(MD5);
    scene.emqx.clients.clear();
    await scene.clock.advance(20_000);
    expect(scene.room.inUse(THERMO)).toBeUndefined();
    scene.changes.length = 0;
    hold(MD5);
    await scene.clock.advance(20_000);
    expect(scene.changes.flat()).toContain(THERMO);
  });

  it('that was banned is told to its Device, for whoever waits for it', async () => {
    scene.changes.length = 0;
    scene.bans = [{ ...revoked(NEW, 'username'), by: `hedgerow/${THERMO}` }];
    expect(scene.room.bannedCertificate(NEW)).toBe(false);
    scene.room.wake('the ledger changed');
    await scene.clock.advance(1_000);
    expect(scene.room.bannedCertificate(NEW)).toBe(true);
    expect(scene.changes.flat()).toContain(THERMO);
  });
});

describe('two certificates that push each other off', () => {
  it('end with the older banned and its holder thrown out, and the newer left alone', async () => {
    scene.onIncident = async () => {
      scene.bans = [revoked(MD5, 'username')];
      scene.room.wake('the ledger changed');
    };
    for (let second = 0; second < 90 && scene.incidents.length === 0; second++) {
      hold(second % 2 === 0 ? NEW : MD5);
      await scene.clock.advance(1_000);
    }
    expect(scene.incidents).toEqual([{ kind: 'copied', client: THERMO, md5s: expect.arrayContaining([MD5, NEW]) }]);
    await scene.clock.advance(1_000);
    expect(scene.emqx.bans.has(`username ${MD5}`)).toBe(true);
    expect(scene.emqx.bans.has(`clientid ${THERMO}`)).toBe(false);
    expect(scene.emqx.clients.get(THERMO)?.username).not.toBe(MD5);
    hold(NEW);
    await scene.clock.advance(60_000);
    expect(scene.emqx.clients.get(THERMO)?.username).toBe(NEW);
    expect(scene.incidents).toHaveLength(1);
  });

  it('cost no question while every device keeps its certificate', async () => {
    const before = scene.emqx.calls.length;
    await scene.clock.advance(60_000);
    expect(scene.emqx.calls.slice(before).filter((call) => call.startsWith('GET /clients/'))).toEqual([]);
  });
});

describe('a record of the flapping detector on one of our ids', () => {
  const plant = (): void =>
    void scene.emqx.bans.set(`clientid ${THERMO}`, {
      ...{ as: 'clientid', who: THERMO, by: 'flapping detector', reason: 'flapping is detected' },
      until: new Date(scene.clock.now() + 300_000).toISOString(),
    });

  it('goes after what replaces it was written down', async () => {
    const held: boolean[] = [];
    scene.onIncident = async () => void held.push(scene.emqx.bans.has(`clientid ${THERMO}`));
    plant();
    await scene.clock.advance(20_000);
    expect(scene.incidents).toEqual([{ kind: 'flapping', client: THERMO, md5s: [MD5] }]);
    expect(held).toEqual([true]);
    expect(scene.emqx.bans.has(`clientid ${THERMO}`)).toBe(false);
  });

  it('goes also when nothing can be written down: the device must not stay locked out', async () => {
    scene.onIncident = () => Promise.reject(new Error('the API server is away'));
    plant();
    await scene.clock.advance(20_000);
    expect(scene.emqx.bans.has(`clientid ${THERMO}`)).toBe(false);
  });

  it('on the id of a revoked device is replaced by its ban, and is no incident', async () => {
    scene.bans = [revoked(THERMO)];
    plant();
    await scene.clock.advance(20_000);
    expect(scene.emqx.bans.get(`clientid ${THERMO}`)?.by).toBe(`hedgerow/${THERMO}`);
    expect(scene.incidents).toEqual([]);
  });
});
