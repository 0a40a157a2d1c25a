import { beforeEach, describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../identity/identity.ts';
import { FakeClock } from '../runtime/clock.ts';
import type { EventNote, Regarding } from '../runtime/events.ts';
import { createFarewell } from './farewell.ts';

const entry = (md5: string, change: Partial<LedgerEntry> = {}): LedgerEntry =>
  ({ md5, device: 'thermo-1.berlin', deviceUid: 'u1', notAfter: '2026-02-01T00:00:00.000Z', ...change }) as LedgerEntry;

function scene() {
  const clock = new FakeClock();
  const banned = new Set<string>();
  const events: (EventNote & { regarding: Regarding })[] = [];
  const recorder = { event: (regarding: Regarding, note: EventNote) => void events.push({ ...note, regarding }) };
  const farewell = createFarewell({ recorder, broker: { bannedCertificate: (md5) => banned.has(md5) }, clock });
  return { clock, banned, events, farewell };
}

describe('a Device that was deleted', () => {
  let s: ReturnType<typeof scene>;
  beforeEach(() => {
    s = scene();
  });

  it('is told of once, when the broker holds the bans of all of its certificates', () => {
    s.farewell.retired([entry('a'), entry('b', { notAfter: '2026-02-09T00:00:00.000Z' })]);
    s.banned.add('a');
    s.farewell.look();
    expect(s.events).toEqual([]);
    s.banned.add('b');
    s.farewell.look();
    s.farewell.look();
    expect(s.events).toEqual([
      {
        ...{ type: 'Normal', reason: 'Retired', action: 'Retire' },
        message:
          'the Device was deleted: its 2 certificates are revoked in the ledger, and banned at the broker until 2026-02-09T00:00:00.000Z',
        regarding: { apiVersion: 'hedgerow.dev/v1alpha1', kind: 'Device', name: 'thermo-1', namespace: 'berlin', uid: 'u1' },
      },
    ]);
  });

  it('says what it waits for when the broker is silent, once, and its end all the same', async () => {
    s.farewell.retired([entry('a')]);
    await s.clock.advance(30_000);
    s.farewell.look();
    s.farewell.look();
    expect(s.events.map(({ reason }) => reason)).toEqual(['Retiring']);
    s.banned.add('a');
    s.farewell.look();
    expect(s.events.map(({ reason }) => reason)).toEqual(['Retiring', 'Retired']);
  });

  it('waits for no ban of a certificate that has expired', async () => {
    s.farewell.retired([entry('a', { notAfter: '2026-01-01T00:00:10.000Z' })]);
    await s.clock.advance(11_000);
    s.farewell.look();
    expect(s.events.map(({ reason }) => reason)).toEqual(['Retired']);
  });

  it('is not mixed up with another of its name', () => {
    s.farewell.retired([entry('a'), entry('b', { deviceUid: 'u2' })]);
    s.banned.add('b');
    s.farewell.look();
    expect(s.events.map(({ regarding }) => regarding.uid)).toEqual(['u2']);
  });
});
