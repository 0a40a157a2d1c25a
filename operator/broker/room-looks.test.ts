// Who was at the broker, as it is told after each look.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClientSeen } from './broker.ts';
import { MD5, OFFICE, RoomScene, THERMO } from './testing/room.ts';

let scene: RoomScene;
let looks: ReadonlyMap<string, ClientSeen>[];
beforeEach(() => {
  scene = new RoomScene();
  looks = [];
  scene.room.onLook((clients) => void looks.push(clients));
});
afterEach(() => scene.stop());
const client = (clientid: string, change: object = {}) =>
  void scene.emqx.clients.set(clientid, { clientid, username: MD5, segment: OFFICE, ...change });

describe('a look at the broker', () => {
  it('tells who is there and when others went, about four times a minute', async () => {
    await scene.start();
    client(THERMO);
    client('gone.berlin', { connected: false, disconnected_at: '2026-01-01T00:00:00.000+00:00' });
    await scene.clock.advance(60_000);
    expect(looks.length).toBeGreaterThanOrEqual(4);
    expect(looks.length).toBeLessThanOrEqual(7);
    expect(looks.at(-1)?.get(THERMO)).toEqual({ connected: true, goneAtMs: undefined });
    expect(looks.at(-1)?.get('gone.berlin')).toEqual({ connected: false, goneAtMs: Date.parse('2026-01-01T00:00:00Z') });
  });

  it('looks after the events as often, once it is known whose EMQX it is', async () => {
    await scene.start();
    await scene.clock.advance(60_000);
    expect(scene.feeds).toBeGreaterThanOrEqual(3);
    expect(scene.feeds).toBeLessThanOrEqual(5);
    const foreign = new RoomScene();
    foreign.emqx.text = '{allow, all}.\n';
    await foreign.start();
    await foreign.clock.advance(60_000);
    expect(foreign.feeds).toBe(0);
    foreign.stop();
  });

  it('does not count a client that is thrown out as there', async () => {
    await scene.start();
    client(THERMO, { username: 'f'.repeat(32) });
    client('true.berlin');
    scene.verdicts.set('f'.repeat(32), 'unknown');
    await scene.clock.advance(20_000);
    expect([looks.at(-1)?.has('true.berlin'), looks.at(-1)?.has(THERMO)]).toEqual([true, false]);
  });

  it('is none while the broker does not answer', async () => {
    await scene.start();
    const before = looks.length;
    scene.emqx.fault = () => ({ status: 503, body: undefined });
    await scene.clock.advance(120_000);
    expect(looks.length).toBe(before);
  });

  it('reads a time that is none as no time', async () => {
    await scene.start();
    client('odd.berlin', { connected: false, disconnected_at: 'yesterday' });
    await scene.clock.advance(20_000);
    expect(looks.at(-1)?.get('odd.berlin')).toEqual({ connected: false, goneAtMs: undefined });
  });
});
