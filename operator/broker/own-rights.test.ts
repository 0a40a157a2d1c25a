import { afterEach, describe, expect, it } from 'vitest';
import { isOwnName, LISTENER, ROLLOUT_SEGMENT } from '../api/names.ts';
import { LISTENER_RIGHTS, ROLLOUT_RIGHTS } from './own-rights.ts';
import { MD5, OFFICE, RoomScene, rights, THERMO } from './testing/room.ts';
import { WIRE_NAME } from './topic.ts';

const DRIVER = '-rollout-0123456789abcdef.-hedgerow';

let scene: RoomScene;
afterEach(() => scene?.stop());
async function started(canary = false, more = [rights(OFFICE)]): Promise<void> {
  scene = new RoomScene({ canary });
  scene.segments = [ROLLOUT_RIGHTS, LISTENER_RIGHTS, ...more];
  await scene.start();
}
const rules = (): string[] => scene.emqx.text.split('\n').filter((line) => line.startsWith('{'));
const ofOwn = (): string[] => rules().filter((line) => line.includes('-rollout[.]-hedgerow') || line.includes('-listener[.]-hedgerow'));

describe('the rules of drivers and of the listener', () => {
  it('have names that the broker takes and that no namespace can have (RFC 1123)', () => {
    for (const name of [ROLLOUT_SEGMENT, LISTENER, DRIVER]) {
      expect(name).toMatch(WIRE_NAME);
      expect(name.split('.')[1]).not.toMatch(/^[a-z0-9]/);
      expect(isOwnName(name)).toBe(true);
    }
  });

  it('are two: to publish for drivers alone, to subscribe for both', async () => {
    await started();
    expect(ofOwn()).toEqual([
      '{allow, {client_attr,"seg",{re,"^(?:-listener[.]-hedgerow|-rollout[.]-hedgerow)$"}}, subscribe, ["ota/v1/d/+/directive","ota/v1/d/+/hello","ota/v1/d/+/log","ota/v1/d/+/state"]}.',
      '{allow, {client_attr,"seg",{re,"^(?:-rollout[.]-hedgerow)$"}}, {publish,[{qos,[0,1]}]}, ["ota/v1/d/+/directive"]}.',
    ]);
  });

  it.each([true, false])('are never what a full budget leaves out (canary: %s)', async (canary) => {
    const many = Array.from({ length: 300 }, (_, i) => rights(`s${i}.berlin`, `cmd/{segment}/{device}/x${i}`));
    await started(canary, many);
    expect(rules().length).toBeLessThanOrEqual(100);
    expect(ofOwn()).toHaveLength(2);
    // New policies that come before them in the list change nothing.
    scene.segments = [...many.toReversed(), LISTENER_RIGHTS, ROLLOUT_RIGHTS];
    scene.room.wake('another order');
    await scene.clock.advance(5000);
    expect(ofOwn()).toHaveLength(2);
  });
});

describe('a driver at the broker', () => {
  const driver = {
    clientid: DRIVER,
    username: MD5,
    segment: ROLLOUT_SEGMENT,
    subscriptions: ['ota/v1/d/+/state', 'ota/v1/d/thermo-17.berlin/hello'],
  };

  it('keeps its subscriptions, loses what nobody granted, and is seen as no device', async () => {
    scene = new RoomScene();
    scene.segments = [ROLLOUT_RIGHTS, rights(OFFICE)];
    const seen: string[] = [];
    scene.room.onLook((clients) => void seen.push(...clients.keys()));
    await scene.start();
    scene.emqx.clients.set(THERMO, { clientid: THERMO, username: 'b'.repeat(32), segment: OFFICE });
    scene.emqx.clients.set(DRIVER, {
      ...driver,
      subscriptions: [...driver.subscriptions, 'dt/office.berlin/thermo-17.berlin/temperature'],
    });
    await scene.clock.advance(130_000);
    expect(scene.emqx.clients.get(DRIVER)?.subscriptions).toEqual(driver.subscriptions);
    expect(seen).toContain(THERMO);
    expect(seen).not.toContain(DRIVER);
    expect(scene.incidents).toEqual([]);
  });

  it('is kicked when EMQX had lost the text: what it was refused meanwhile does not come back by itself', async () => {
    await started();
    scene.emqx.restart({ wipe: true });
    scene.emqx.clients.set(DRIVER, { ...driver });
    await scene.clock.advance(20_000);
    expect(scene.emqx.kicked).toContain(DRIVER);
    expect(ofOwn()).toHaveLength(2);
  });

  it('one that is no driver any more is banned by its certificate and thrown out', async () => {
    await started();
    scene.verdicts.set(DRIVER, 'unknown');
    scene.emqx.clients.set(DRIVER, { ...driver });
    await scene.clock.advance(40_000);
    expect(scene.emqx.kicked).toContain(DRIVER);
    expect([...scene.emqx.bans.keys()]).toContain(`username ${MD5}`);
  });
});
