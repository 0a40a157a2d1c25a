import { describe, expect, it } from 'vitest';
import type { SegmentRights } from '../broker/broker.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import { FakeClock } from '../runtime/clock.ts';
import { silentLog } from '../runtime/log.ts';
import { createLeftovers } from './leftovers.ts';

const NAME = 'thermo-1.berlin';
const entry = (change: Partial<LedgerEntry> = {}): LedgerEntry =>
  ({ md5: 'a', device: NAME, deviceUid: 'u1', segment: 'office.berlin', notAfter: '2099-02-01T00:00:00.000Z', ...change }) as LedgerEntry;

function scene(o: { entries?: LedgerEntry[] | undefined; rights?: SegmentRights[] } = {}) {
  const clock = new FakeClock();
  const banned = new Set<string>();
  const devices = new Set<string>();
  const topics = new Set<string>();
  const of = { fails: false, asked: 0 };
  const leftovers = createLeftovers({
    retained: {
      list: async (filter) => {
        of.asked += 1;
        if (of.fails) throw new Error('no answer');
        return [...topics].filter((topic) => fits(topic, filter)).map((topic) => ({ topic, id: '1', from: NAME }));
      },
      remove: async (topic) => void topics.delete(topic),
    },
    broker: { bannedCertificate: (md5) => banned.has(md5) },
    entries: () => ('entries' in o ? o.entries : [entry()]),
    isDevice: (name) => devices.has(name),
    rights: () => o.rights ?? [],
    clock,
    log: silentLog,
  });
  return { clock, banned, devices, topics, of, leftovers };
}

/** MQTT 5, 4.7. */
function fits(topic: string, filter: string): boolean {
  const [levels, wanted] = [topic.split('/'), filter.split('/')];
  if (wanted.at(-1) === '#') return wanted.slice(0, -1).every((level, at) => level === '+' || level === levels[at]);
  return levels.length === wanted.length && wanted.every((level, at) => level === '+' || level === levels[at]);
}

const ITS = [`dt/office.berlin/${NAME}/climate`, `ota/v1/d/${NAME}/state`, `ota/v1/d/${NAME}/directive`, `trust/v1/d/${NAME}/confirmed`];

describe('what a deleted Device has left at the broker', () => {
  it('goes when its certificates are banned, and nothing of others does', async () => {
    const others = [
      'dt/office.berlin/thermo-2.berlin/climate',
      `dt/${NAME}/thermo-3.berlin/climate`,
      'trust/v1/anchors',
      NAME,
      `x/${NAME}/y`,
    ];
    const { leftovers, banned, topics } = scene();
    for (const topic of [...ITS, ...others]) topics.add(topic);
    await leftovers.look();
    expect(topics.size).toBe(ITS.length + others.length);
    banned.add('a');
    await leftovers.look();
    expect([...topics]).toEqual(others);
  });

  it('goes also where a policy let its devices retain what they like', async () => {
    const publish = [{ topic: 'rooms/{segment}/{device}/+' }, { topic: 'never/{device}', retain: false }, { topic: 'shared/announcement' }];
    const rights = [
      { segment: 'office.berlin', publish, subscribe: [] },
      { segment: 'lab.berlin', publish: [{ topic: 'lab/{device}' }], subscribe: [] },
    ];
    const { leftovers, banned, topics } = scene({ rights });
    for (const topic of [`rooms/office.berlin/${NAME}/door`, 'shared/announcement', `lab/${NAME}`]) topics.add(topic);
    banned.add('a');
    await leftovers.look();
    expect([...topics]).toEqual(['shared/announcement', `lab/${NAME}`]);
  });

  it('is looked for again for half a minute, and then no more', async () => {
    const { leftovers, banned, topics, clock, of } = scene();
    banned.add('a');
    await leftovers.look();
    topics.add(ITS[0] ?? '');
    await clock.advance(30_000);
    await leftovers.look();
    expect(topics.size).toBe(0);
    const asked = of.asked;
    await clock.advance(600_000);
    await leftovers.look();
    expect(of.asked).toBe(asked);
  });

  it('stays while its Device is there, or while nobody knows', async () => {
    const unknown = scene({ entries: undefined });
    const present = scene();
    present.devices.add(NAME);
    for (const { leftovers, banned, topics } of [unknown, present]) {
      banned.add('a');
      topics.add(ITS[0] ?? '');
      await leftovers.look();
      expect(topics.size).toBe(1);
    }
  });

  it('goes once the broker answers again', async () => {
    const { leftovers, banned, topics, of } = scene();
    banned.add('a');
    topics.add(ITS[0] ?? '');
    of.fails = true;
    await expect(leftovers.look()).rejects.toThrow();
    of.fails = false;
    await leftovers.look();
    expect(topics.size).toBe(0);
  });

  it('waits for no ban of a certificate that has expired', async () => {
    const { leftovers, topics, clock, of } = scene({ entries: [entry({ notAfter: new Date(new FakeClock().now() + 1).toISOString() })] });
    topics.add(ITS[0] ?? '');
    await leftovers.look();
    expect(topics.size).toBe(1);
    await clock.advance(1_000);
    await leftovers.look();
    expect(topics.size).toBe(0);
    const { asked } = of;
    await clock.advance(2 * 86_400_000);
    await leftovers.look();
    expect(of.asked).toBe(asked);
  });
});
