import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import type { Incident } from './broker.ts';
import type { ClientRow } from './emqx.ts';
import { createUsage } from './usage.ts';

const CLIENT = 'thermo-1.berlin';
const row = (username: string, connected = true, clientid = CLIENT): ClientRow => ({
  clientid,
  username,
  connected,
  segment: 'office.berlin',
});

function scene() {
  const clock = new FakeClock();
  const world = { now: new Map<string, ClientRow>(), bad: new Set<string>(), asked: 0, fails: false };
  const told: string[] = [];
  const incidents: Incident[] = [];
  const usage = createUsage({
    emqx: {
      client: async (id) => {
        world.asked++;
        return world.now.get(id);
      },
    },
    isSuperseded: (_client, md5) => md5 === 'old',
    isGood: (_client, md5) => !world.bad.has(md5),
    changed: (client) => void told.push(client),
    incident: async (incident) => {
      if (world.fails) throw new Error('the ledger cannot be written');
      incidents.push(incident);
    },
    clock,
    log: silentLog,
  });
  /** One question a second; at each the next certificate holds the connection. */
  const pingPong = async (...md5s: string[]): Promise<void> => {
    for (const md5 of md5s) {
      world.now.set(CLIENT, row(md5));
      await clock.advance(1_000);
      await usage.look();
    }
  };
  return { clock, world, told, incidents, usage, pingPong };
}

let s: ReturnType<typeof scene>;
beforeEach(() => {
  s = scene();
});

describe('the certificate in use', () => {
  it('is that of the connection, and none while the client is away', () => {
    expect(s.usage.inUse(CLIENT)).toBeUndefined();
    s.usage.listed([row('new')]);
    expect(s.usage.inUse(CLIENT)).toBe('new');
    s.usage.listed([row('new', false)]);
    expect(s.usage.inUse(CLIENT)).toBeUndefined();
  });

  it('is news when it is seen first and when it changes, not at every reading, nor at a reconnect with what should be used', () => {
    s.usage.listed([row('new')]);
    s.usage.listed([row('new')]);
    s.usage.listed([]);
    s.usage.listed([row('new')]);
    expect(s.told).toHaveLength(1);
    s.usage.listed([row('old')]);
    expect(s.told).toHaveLength(2);
  });

  it('that is superseded is news at each reconnect', () => {
    s.usage.listed([row('old')]);
    s.usage.listed([]);
    s.usage.listed([row('old')]);
    expect(s.told).toHaveLength(2);
  });
});

describe('two certificates of one device', () => {
  it('that push each other off five times within a minute are told, once', async () => {
    s.usage.listed([row('new')]);
    s.usage.listed([row('old')]);
    await s.pingPong('new', 'old', 'new');
    expect(s.incidents).toEqual([]);
    await s.pingPong('old');
    expect(s.incidents).toEqual([{ kind: 'copied', client: CLIENT, md5s: expect.arrayContaining(['old', 'new']) }]);
    await s.pingPong('new');
    expect(s.incidents).toHaveLength(1);
  });

  it('are told again until it could be written down', async () => {
    s.world.fails = true;
    s.usage.listed([row('new')]);
    s.usage.listed([row('old')]);
    await s.pingPong('new', 'old', 'new', 'old');
    s.world.fails = false;
    // Whatever the device does by then: what was seen was seen.
    s.usage.listed([row('new')]);
    await s.pingPong('old', 'new', 'old', 'new');
    expect(s.incidents.length).toBeGreaterThan(0);
  });

  it('are not two when the device renews, or tries the new one and goes back', async () => {
    s.usage.listed([row('old')]);
    s.usage.listed([row('new')]);
    await s.pingPong('new', 'old', 'old', 'new', 'new');
    expect(s.incidents).toEqual([]);
  });

  it('are not two when the changes lie further apart', async () => {
    s.usage.listed([row('new')]);
    for (let i = 0; i < 10; i++) {
      s.usage.listed([row(i % 2 === 0 ? 'old' : 'new')]);
      await s.clock.advance(20_000);
      await s.usage.look();
    }
    expect(s.incidents).toEqual([]);
  });

  it('do not count a certificate that may not be there: the sweep throws it out', async () => {
    s.world.bad.add('stranger');
    s.usage.listed([row('new')]);
    s.usage.listed([row('old')]);
    await s.pingPong('stranger', 'old', 'stranger', 'old', 'stranger', 'old');
    expect(s.incidents).toEqual([]);
  });

  it('cost a few questions a second, and none a minute after the last change', async () => {
    const fleet = Array.from({ length: 500 }, (_, at) => `d-${at}.berlin`);
    for (const md5 of ['old', 'new']) s.usage.listed(fleet.map((id) => row(md5, true, id)));
    for (const id of fleet) s.world.now.set(id, row('new', true, id));
    await s.usage.look();
    expect(s.world.asked).toBe(16);
    await s.clock.advance(61_000);
    await s.usage.look();
    expect(s.world.asked).toBe(16);
  });

  it('are never told of fewer than five changes in a minute, whatever the order', async () => {
    const step = fc.record({
      md5: fc.constantFrom('a', 'b'),
      afterMs: fc.integer({ min: 0, max: 30_000 }),
      how: fc.constantFrom('list', 'look'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const t = scene();
        const changes: number[] = [];
        let last: string | undefined;
        for (const { md5, afterMs, how } of steps) {
          await t.clock.advance(afterMs);
          t.world.now.set(CLIENT, row(md5));
          const before = t.incidents.length;
          if (how === 'list') t.usage.listed([row(md5)]);
          else await t.usage.look();
          if (t.usage.inUse(CLIENT) === md5 && last !== md5) {
            if (last !== undefined) changes.push(t.clock.elapsed());
            last = md5;
          }
          if (t.incidents.length > before)
            expect(changes.filter((at) => t.clock.elapsed() - at <= 60_000).length).toBeGreaterThanOrEqual(5);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a flapping record', () => {
  it('names the certificates that were seen within the last minute', async () => {
    s.usage.listed([row('old')]);
    await s.clock.advance(61_000);
    s.usage.listed([row('new')]);
    await s.usage.flapping(CLIENT);
    expect(s.incidents).toEqual([{ kind: 'flapping', client: CLIENT, md5s: ['new'] }]);
  });

  it('of a client that was never seen names none, and a failure is swallowed: the device must not stay locked out', async () => {
    await s.usage.flapping(CLIENT);
    expect(s.incidents).toEqual([{ kind: 'flapping', client: CLIENT, md5s: [] }]);
    s.world.fails = true;
    await expect(s.usage.flapping(CLIENT)).resolves.toBeUndefined();
  });
});
