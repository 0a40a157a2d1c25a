import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EgressMessage, egressProblem, topicOf } from '../../../operator/api/egress.ts';
import type { Egress, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Output } from '../core/output.ts';
import type { Entry, Stored } from '../spool/record.ts';
import { emptyAggregate, include } from '../window/aggregate.ts';
import { admit, type Gate, outgoing } from './gate.ts';
import { trendBody, trendCoarsening } from './trend.ts';

const NOW = Date.parse('2026-11-01T12:00:00Z');
const SEGMENT: GatewaySegment = {
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 5, detect: [], rules: [] },
  retentionMs: { trend: 1, alert: 1, security: 1 },
};
const gate = (more: Partial<GatewaySegment> = {}): Gate => ({
  site: 'berlin',
  segment: (name) => (name === SEGMENT.name ? { ...SEGMENT, ...more } : undefined),
  refOf: (device, pseudonyms) => (device !== 'thermo-17.berlin' ? undefined : pseudonyms ? 'c0ffee' : device),
});

const aggregate = emptyAggregate();
for (const value of [20, 20.5, 21, 0, -3]) include(aggregate, NOW, value);
const PLACE = { segment: SEGMENT.name, device: '', id: 'x/1', subject: 's', rev: 0, fromMs: NOW, toMs: NOW + 1 };
const TREND: Output = { ...PLACE, body: trendBody({ group: '3', metric: 'climate:celsius', devices: 5 }, aggregate) };
const ALERT: Output = { ...PLACE, device: 'thermo-17.berlin', body: { type: 'Alert', kind: 'level', metric: 'climate:celsius', count: 1 } };
const SECURITY: Output = { ...PLACE, device: 'thermo-17.berlin', body: { type: 'Security', kind: 'ReplayDetected', count: 2 } };
const RAW: Output = { ...PLACE, device: 'thermo-17.berlin', body: { type: 'Raw', stream: 'climate', boot: 1, seq: 1, m: { celsius: 20 } } };
const ERASED: Output = { ...PLACE, segment: '', body: { type: 'Erased', device: 'c0ffee', records: 1 } };
const LOSS: Output = { ...PLACE, segment: '', body: { type: 'DataLoss', class: 'trend', reason: 'bound', count: 1 } };

const until = new Date(NOW + 1000).toISOString();
const levels: [Egress, Output[], Output[]][] = [
  ['None', [ERASED, LOSS], [ALERT, SECURITY, TREND, RAW]],
  ['Alerts', [ALERT, SECURITY, ERASED, LOSS], [TREND, RAW]],
  ['Aggregates', [ALERT, SECURITY, TREND, ERASED, LOSS], [RAW]],
  ['Raw', [ALERT, SECURITY, TREND, RAW, ERASED, LOSS], []],
];
const more = (egress: Egress): Partial<GatewaySegment> => ({ egress, ...(egress === 'Raw' ? { rawUntil: until } : {}) });
const stored = (entry: Entry, of: Partial<Stored> = {}): Stored => ({ ...entry, seq: 1, place: 0, lost: 0, ...of });
const admitted = (output: Output, of: Gate = gate({ egress: 'Raw', rawUntil: until })): Entry => {
  const entry = admit(output, of, NOW);
  if (typeof entry === 'string') throw new Error(entry);
  return entry;
};
const sent = (one: Stored, of: Gate = gate({ egress: 'Raw', rawUntil: until })): EgressMessage => {
  const found = outgoing(one, of, NOW);
  if (typeof found === 'string') throw new Error(found);
  const message = JSON.parse(found.payload) as EgressMessage;
  expect(egressProblem(message)).toBeUndefined();
  expect(found.topic).toBe(topicOf(message));
  return message;
};

describe('the gate into the spool', () => {
  it.each(levels)('with egress %s lets go what its level has, and nothing else, into the spool and out of it', (egress, may, mayNot) => {
    for (const one of may) expect(sent(stored(admitted(one, gate(more(egress)))), gate(more(egress))).type).toBe(one.body.type);
    for (const one of mayNot) {
      expect(admit(one, gate(more(egress)), NOW)).toBe('HR-GW-401');
      // It may have been let in under another policy than that of now.
      expect(outgoing(stored(admitted(one)), gate(more(egress)), NOW)).toBe('HR-GW-401');
    }
  });

  it('ends Raw at its time: for what comes, and for what waits in the spool', () => {
    const raw = gate({ egress: 'Raw', rawUntil: until });
    const waiting = stored(admitted(RAW, raw));
    expect(admit(RAW, raw, NOW + 1000)).toBe('HR-GW-401');
    expect(outgoing(waiting, raw, NOW + 999)).toMatchObject({ topic: 'raw/berlin/office/c0ffee/climate' });
    expect(outgoing(waiting, raw, NOW + 1000)).toBe('HR-GW-401');
  });

  it('calls a device by its pseudonym, and by its name only where the policy has no pseudonyms', () => {
    expect(sent(stored(admitted(ALERT)))).toMatchObject({ device: 'c0ffee', segment: 'office', key: 'alert/office/c0ffee/x/1' });
    const named = gate({ pseudonyms: false });
    expect(sent(stored(admitted(ALERT, named)), named)).toMatchObject({
      device: 'thermo-17.berlin',
      key: 'alert/office/thermo-17.berlin/x/1',
    });
  });

  it('lets no trend go of fewer devices than the policy has now', () => {
    const five = stored(admitted(TREND));
    expect(outgoing(five, gate({ minGroup: 5 }), NOW)).toHaveProperty('topic');
    expect(outgoing(five, gate({ minGroup: 6 }), NOW)).toBe('HR-GW-401');
    expect(admit(TREND, gate({ minGroup: 6 }), NOW)).toBe('HR-GW-401');
  });

  it('sends no name that waits once the policy has pseudonyms, but for that of who is erased', () => {
    const named = gate({ pseudonyms: false, egress: 'Raw', rawUntil: until });
    for (const one of [ALERT, SECURITY, RAW]) {
      const waiting = stored(admitted(one, named));
      expect(sent(waiting, named)).toMatchObject({ device: 'thermo-17.berlin' });
      expect(outgoing(waiting, gate({ egress: 'Raw', rawUntil: until }), NOW)).toBe('HR-GW-401');
    }
    const erased: Output = { ...ERASED, body: { type: 'Erased', device: 'thermo-17.berlin', records: 1 } };
    expect(sent(stored(admitted(erased)))).toMatchObject({ device: 'thermo-17.berlin' });
  });

  it('keeps the name of the device beside the record, so that it can be erased, and not in it', () => {
    const entry = admitted(ALERT);
    expect(entry.device).toBe('thermo-17.berlin');
    expect(Buffer.from(entry.payload).toString() + entry.key).not.toContain('thermo-17');
  });

  it('lets nothing go of who is no Device, nor of a segment without a policy', () => {
    expect(admit({ ...ALERT, device: 'gone.berlin' }, gate(), NOW)).toBe('HR-GW-403');
    expect(admit({ ...ALERT, segment: 'lab.berlin' }, gate(), NOW)).toBe('HR-GW-403');
    expect(outgoing(stored(admitted(ALERT)), { site: 'berlin', segment: () => undefined }, NOW)).toBe('HR-GW-403');
  });

  it('lets nothing go that has a word more than its schema', () => {
    const body: Output['body'] = Object.assign({ says: '21.5 is far from 20' }, ALERT.body);
    expect(admit({ ...ALERT, body }, gate(), NOW)).toBe('HR-GW-402');
    expect(admit({ ...ALERT, id: 'no key' }, gate(), NOW)).toBe('HR-GW-402');
    const entry = { ...admitted(ALERT), payload: Buffer.from(JSON.stringify({ ...body, segment: 'office' })) };
    expect(outgoing(stored(entry), gate(), NOW)).toBe('HR-GW-402');
  });

  it('sends nothing that the disk gave back as something else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (payload) => {
        expect(outgoing(stored({ ...admitted(ALERT), payload }), gate(), NOW)).toBe('HR-GW-402');
      }),
    );
  });

  it('says of a loss of the spool what is missing, and why', () => {
    const lost = stored({ ...admitted(TREND), key: 'loss/1/trend/9', subject: 'damage', payload: new Uint8Array() }, { lost: 7 });
    expect(sent(lost)).toMatchObject({ type: 'DataLoss', class: 'trend', reason: 'damage', count: 7, key: 'loss/1/trend/9' });
  });
});

describe('trends that become wider in the spool', () => {
  const { merge } = trendCoarsening(1000);
  const body = (values: readonly number[], devices: number) => {
    const one = emptyAggregate();
    for (const value of values) include(one, NOW, value);
    return Buffer.from(JSON.stringify({ ...trendBody({ group: '3', metric: 'c', devices }, one), segment: 'office' }));
  };

  it('are what one window of all readings would have been, but for the number of devices: that of the fewest', () => {
    const some = fc.array(fc.integer({ min: -500, max: 500 }), { minLength: 9, maxLength: 30 });
    fc.assert(
      fc.property(fc.array(some, { minLength: 2, maxLength: 5 }), (windows) => {
        const whole = JSON.parse(body(windows.flat(), 5).toString());
        const merged = JSON.parse(Buffer.from(merge(windows.map((one, at) => body(one, 5 + at)))).toString());
        const { mean, deviation, ...exact } = merged;
        expect(exact).toEqual({ ...whole, mean: undefined, deviation: undefined });
        expect(mean).toBeCloseTo(whole.mean, 1);
        expect(deviation).toBeCloseTo(whole.deviation, 1);
      }),
    );
  });

  it('stay as they are when one is no trend', () => {
    for (const other of ['', '{}', '{"type":"Alert"}', 'null'])
      expect(() => merge([body([1, 2, 3, 4, 5], 5), Buffer.from(other)])).toThrow();
  });
});
