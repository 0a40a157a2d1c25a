import { describe, expect, it } from 'vitest';
import type { Incident } from '../broker/broker.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import { FakeClock } from '../runtime/clock.ts';
import type { EventNote } from '../runtime/events.ts';
import { silentLog } from '../runtime/log.ts';
import { COPIED, FLAPPING } from './certificates.ts';
import type { DeviceView } from './devices.ts';
import { createIncidents } from './incidents.ts';

const CLIENT = 'thermo-1.berlin';
const KEY = 'berlin/thermo-1';

function scene(options: { deviceUid?: string; fails?: boolean } = {}) {
  const clock = new FakeClock();
  const entry = (name: string, from: number): LedgerEntry =>
    ({
      ...{ id: name, device: CLIENT, deviceUid: 'u1', serial: name, md5: name },
      notBefore: new Date(clock.now() + from).toISOString(),
      notAfter: new Date(clock.now() + 9e9).toISOString(),
    }) as LedgerEntry;
  const seen = { revoked: [] as unknown[], events: [] as EventNote[], woken: [] as string[] };
  const act = createIncidents({
    store: {
      get: (key) =>
        key === KEY ? ({ key: KEY, uid: options.deviceUid ?? 'u1', name: 'thermo-1', namespace: 'berlin' } as DeviceView) : undefined,
    },
    ledger: {
      byDevice: () => [entry('old', -9_000), entry('new', -1_000)],
      revoke: async (ids, why) => {
        if (options.fails === true) throw new Error('the API server is away');
        seen.revoked.push({ ids, ...why });
      },
    },
    recorder: { event: (_regarding, note) => void seen.events.push(note) },
    wake: (key) => void seen.woken.push(key),
    clock,
    log: silentLog,
  });
  return { act, seen };
}
const incident = (kind: Incident['kind'], ...md5s: string[]): Incident => ({ kind, client: CLIENT, md5s });

describe('what follows from what the broker saw', () => {
  it('a copy is given up in the ledger, with its key, and the Device is looked at', async () => {
    const { act, seen } = scene();
    await act(incident('copied', 'old', 'new'));
    expect(seen.revoked).toEqual([{ ids: ['old'], reason: 'Compromised', by: COPIED }]);
    expect(seen.woken).toEqual([KEY]);
    // Its condition tells.
    expect(seen.events).toEqual([]);
  });

  it('a flapping record costs the older certificate, but not its key, and an Event says so', async () => {
    const { act, seen } = scene();
    await act(incident('flapping', 'new'));
    expect(seen.revoked).toEqual([{ ids: ['old'], reason: 'Superseded', by: FLAPPING }]);
    expect(seen.events).toMatchObject([
      { reason: 'FlappingRecordRemoved', message: expect.stringContaining('certificate old was banned') },
    ]);
  });

  it('a flapping record of a device that was only seen with its old certificate costs nothing, and an Event says so', async () => {
    const { act, seen } = scene();
    await act(incident('flapping', 'old'));
    expect(seen.revoked).toEqual([]);
    expect(seen.events).toMatchObject([{ reason: 'FlappingRecordRemoved', message: expect.stringContaining('no certificate was banned') }]);
  });

  it('a name without a Device, or with another one by now, is left alone', async () => {
    const { act, seen } = scene({ deviceUid: 'u2' });
    await act(incident('copied', 'old', 'new'));
    await act({ ...incident('flapping', 'new'), client: 'lamp-1.berlin' });
    expect(seen.revoked).toEqual([]);
  });

  it('what cannot be written down is not swallowed: the broker room sees it again', async () => {
    await expect(scene({ fails: true }).act(incident('copied', 'old', 'new'))).rejects.toThrow('the API server is away');
  });
});
