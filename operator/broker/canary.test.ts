import { afterEach, describe, expect, it } from 'vitest';
import { compileAcl } from './acl-compile.ts';
import { CANARY, digestOf } from './canary.ts';
import { LAB, MD5, OFFICE, RoomScene, rights, THERMO } from './testing/room.ts';
import { WIRE_NAME } from './topic.ts';

let scene: RoomScene;
afterEach(() => scene?.stop());
const started = async (canary = true): Promise<RoomScene> => {
  scene = new RoomScene({ canary });
  await scene.start();
  return scene;
};
const digestIn = (text: string): string | undefined => /probe\/[^"]*\/([0-9a-f]{16})"/.exec(text)?.[1];

describe('the rule of the canary', () => {
  it('has a name that the broker takes and that no namespace can have (RFC 1123)', () => {
    expect(CANARY).toMatch(WIRE_NAME);
    expect(CANARY.split('.')[1]).not.toMatch(/^[a-z0-9]/);
  });

  it('stands in the text only where there is a canary', async () => {
    await started(false);
    expect(scene.emqx.text).not.toContain('probe');
    expect(scene.room.textInForce()).toBeUndefined();
    scene.stop();
    await started();
    expect(scene.emqx.text.split('\n').filter((line) => line.includes('-probe[.]-hedgerow'))).toHaveLength(2);
  });

  it('names the text that is in force, and segments with what grants them their rights', async () => {
    await started();
    const inForce = scene.room.textInForce();
    expect(inForce?.digest).toBe(digestIn(scene.emqx.text));
    expect([...(inForce?.segments.keys() ?? [])]).toEqual(expect.arrayContaining([OFFICE, LAB]));
  });

  it('names another text after a change of any right, and the same after none', async () => {
    await started();
    const before = scene.room.textInForce();
    let told = 0;
    scene.room.onText(() => void told++);
    scene.room.wake('nothing');
    await scene.clock.advance(60_000);
    expect([scene.room.textInForce()?.digest, told]).toEqual([before?.digest, 0]);
    scene.segments = [rights(OFFICE), rights(LAB, 'cmd/{segment}/{device}/x')];
    scene.room.wake('a policy changed');
    await scene.clock.advance(1000);
    const after = scene.room.textInForce();
    expect(after?.digest).not.toBe(before?.digest);
    expect(after?.digest).toBe(digestIn(scene.emqx.text));
    expect([after?.segments.get(OFFICE) === before?.segments.get(OFFICE), after?.segments.get(LAB) === before?.segments.get(LAB)]).toEqual([
      true,
      false,
    ]);
    expect(told).toBe(1);
  });

  it('no text is in force while EMQX has lost it', async () => {
    await started();
    scene.emqx.fault = (call) => (call.method === 'PUT' ? { status: 503, body: {} } : undefined);
    scene.emqx.restart({ wipe: true });
    await scene.clock.advance(20_000);
    expect(scene.room.textInForce()).toBeUndefined();
    scene.emqx.fault = undefined;
    await scene.clock.advance(20_000);
    expect(scene.room.textInForce()?.digest).toBe(digestIn(scene.emqx.text));
  });

  it('takes its room of the budget: what is left out is the same as the digest knows', async () => {
    const segments = Array.from({ length: 300 }, (_, i) => rights(`s${i}.berlin`, `cmd/{segment}/{device}/x${i}`));
    await started();
    scene.segments = segments;
    scene.room.wake('many shapes');
    await scene.clock.advance(5000);
    expect(scene.emqx.text.split('\n').filter((line) => line.startsWith('{')).length).toBeLessThanOrEqual(100);
    expect(scene.emqx.text).toContain('-probe[.]-hedgerow');
    expect(scene.room.textInForce()?.segments.has(CANARY)).toBe(true);
  });

  it('a digest depends on every rule and on their order', () => {
    const of = (...segments: string[]): string =>
      digestOf(compileAcl({ segments: segments.map((one) => rights(one)), refused: new Map(), age: () => 0, mode: 'owned' }).rules);
    expect(of(OFFICE)).toMatch(/^[0-9a-f]{16}$/);
    expect(of(LAB)).not.toBe(of(OFFICE));
    expect(of(LAB, OFFICE)).toBe(of(OFFICE, LAB));
  });
});

describe('the canary at the broker', () => {
  const canary = { clientid: CANARY, username: MD5, segment: CANARY, subscriptions: ['probe/x'] };

  it('keeps its subscription and is seen as no device', async () => {
    scene = new RoomScene({ canary: true });
    const seen: string[] = [];
    scene.room.onLook((clients) => void seen.push(...clients.keys()));
    await scene.start();
    scene.emqx.clients.set(THERMO, { clientid: THERMO, username: 'b'.repeat(32), segment: OFFICE });
    scene.emqx.clients.set(CANARY, { ...canary });
    scene.segments = [rights(OFFICE)];
    scene.room.wake('a policy is gone');
    await scene.clock.advance(130_000);
    expect(scene.emqx.clients.get(CANARY)?.subscriptions).toEqual(['probe/x']);
    expect(seen).toContain(THERMO);
    expect(seen).not.toContain(CANARY);
    expect(scene.incidents).toEqual([]);
  });

  it('one with another certificate is banned by it and thrown out', async () => {
    await started();
    scene.verdicts.set(CANARY, 'unknown');
    scene.emqx.clients.set(CANARY, { ...canary });
    await scene.clock.advance(40_000);
    expect(scene.emqx.kicked).toContain(CANARY);
    expect([...scene.emqx.bans.keys()]).toContain(`username ${MD5}`);
  });
});
