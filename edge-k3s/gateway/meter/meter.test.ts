import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { egressProblem } from '../../../operator/api/egress.ts';
import type { GatewayConfig, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import { admit } from '../egress/gate.ts';
import { ERRORS, type GatewayCode } from '../errors.ts';
import { BORNE, createMeter, FLOOD, type Meter, MOST_ALERTS, type Raised, WINDOW_MS } from './meter.ts';

const START = 1_790_000_000_000;
const segment = (more: Partial<GatewaySegment> = {}): GatewaySegment => ({
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: 60_000, minGroup: 5, detect: [], rules: [] },
  retentionMs: { trend: 1, alert: 1, security: 1 },
  ...more,
});
const config = (one: GatewaySegment): GatewayConfig => ({ version: 1, site: 'berlin', segments: [one] });
const EVERYTHING = segment({ triggers: ['ReplayDetected', 'SchemaFlood'] });

function metered(of: GatewaySegment = EVERYTHING): Meter {
  const meter = createMeter(START - 2 * WINDOW_MS);
  meter.configure(config(of));
  meter.tick(START);
  return meter;
}
const refused = (meter: Meter, code: GatewayCode, times: number, device = 'thermo-1.berlin', nowMs = START + 1_000): void => {
  for (let n = 0; n < times; n++) meter.count(device, 'office.berlin', { kind: 'refused', code }, nowMs);
};
const asked = ({ raised }: { raised: Raised[] }) => raised.map(({ device, trigger, count }) => [device, trigger, count]);
const kinds = (meter: Meter, nowMs = START + WINDOW_MS) =>
  meter.tick(nowMs).outputs.map(({ device, body }) => [device, 'kind' in body ? body.kind : '', 'count' in body ? body.count : 0]);

describe('who is to be quarantined', () => {
  it.each<[string, GatewaySegment, GatewayCode, number, (string | number)[][]]>([
    ['who sends recorded messages', EVERYTHING, 'HR-GW-202', BORNE + 1, [['thermo-1.berlin', 'ReplayDetected', BORNE + 1]]],
    ['recorded before a start of the device', EVERYTHING, 'HR-GW-204', BORNE + 1, [['thermo-1.berlin', 'ReplayDetected', BORNE + 1]]],
    ['recorded long ago', EVERYTHING, 'HR-GW-203', BORNE + 1, [['thermo-1.berlin', 'ReplayDetected', BORNE + 1]]],
    ['not who sends again what was not acknowledged', EVERYTHING, 'HR-GW-202', BORNE, []],
    ['who floods with what fits no schema', EVERYTHING, 'HR-GW-307', BORNE + 1, [['thermo-1.berlin', 'SchemaFlood', BORNE + 1]]],
    ['or with what is no message', EVERYTHING, 'HR-GW-306', BORNE + 1, [['thermo-1.berlin', 'SchemaFlood', BORNE + 1]]],
    ['or with what is no payload of Sparkplug', EVERYTHING, 'HR-GW-801', BORNE + 1, [['thermo-1.berlin', 'SchemaFlood', BORNE + 1]]],
    ['not who was born before the gateway was there', EVERYTHING, 'HR-GW-803', 500, []],
    ['nobody without a trigger', segment(), 'HR-GW-202', 500, []],
    ['nobody by the trigger of something else', segment({ triggers: ['SchemaFlood'] }), 'HR-GW-202', 500, []],
    [
      'the first that does not fit, where the policy says so',
      segment({ onViolation: 'Quarantine' }),
      'HR-GW-307',
      1,
      [['thermo-1.berlin', 'SchemaViolated', 1]],
    ],
    ['nobody for a clock that is off', EVERYTHING, 'HR-GW-205', 500, []],
    ['nobody for what others sent under a name that is not theirs', EVERYTHING, 'HR-GW-303', 500, []],
  ])('%s', (_name, of, code, times, expected) => {
    const meter = metered(of);
    refused(meter, code, times);
    expect(asked(meter.tick(START + 2_000))).toEqual(expected);
  });

  it('is asked once in a minute', () => {
    const meter = metered();
    refused(meter, 'HR-GW-202', 200);
    expect(asked(meter.tick(START + 2_000))).toHaveLength(1);
    refused(meter, 'HR-GW-202', 200);
    expect(asked(meter.tick(START + 3_000))).toEqual([]);
    meter.tick(START + WINDOW_MS);
    refused(meter, 'HR-GW-202', 200, 'thermo-1.berlin', START + WINDOW_MS + 1_000);
    expect(asked(meter.tick(START + WINDOW_MS + 2_000))).toHaveLength(1);
  });

  it('is nobody for what the broker delivers again after a new session', () => {
    const meter = metered();
    meter.resumed(START);
    refused(meter, 'HR-GW-202', 500);
    refused(meter, 'HR-GW-307', BORNE + 1);
    expect(asked(meter.tick(START + 2_000))).toEqual([['thermo-1.berlin', 'SchemaFlood', BORNE + 1]]);
    refused(meter, 'HR-GW-202', 500, 'thermo-1.berlin', START + WINDOW_MS);
    expect(asked(meter.tick(START + WINDOW_MS - 1))).toEqual([['thermo-1.berlin', 'ReplayDetected', BORNE + 1]]);
  });

  it('is not who was erased meanwhile', () => {
    const meter = metered();
    refused(meter, 'HR-GW-202', 200);
    meter.forget('thermo-1.berlin');
    expect(meter.tick(START + WINDOW_MS)).toEqual({ outputs: [], raised: [] });
  });
});

describe('what is said of a minute', () => {
  it('nothing of devices that do what they should', () => {
    const meter = metered();
    for (let n = 0; n < FLOOD - BORNE; n++) meter.count('thermo-1.berlin', 'office.berlin', { kind: 'message' }, START);
    refused(meter, 'HR-GW-202', BORNE);
    expect(kinds(meter)).toEqual([]);
  });

  it('each kind with its count, and not before the minute is over', () => {
    const meter = metered();
    for (let n = 0; n < FLOOD + 1; n++) meter.count('loud.berlin', 'office.berlin', { kind: 'message' }, START);
    refused(meter, 'HR-GW-203', 40, 'old.berlin');
    refused(meter, 'HR-GW-307', 40, 'wrong.berlin');
    refused(meter, 'HR-GW-307', 2, 'odd.berlin');
    refused(meter, 'HR-GW-305', 1, 'large.berlin');
    refused(meter, 'HR-GW-303', 3, 'anything at all');
    expect(kinds(meter, START + WINDOW_MS - 1)).toEqual([]);
    expect(kinds(meter)).toEqual([
      ['loud.berlin', 'MessageFlood', FLOOD + 1],
      ['old.berlin', 'ReplayDetected', 40],
      ['wrong.berlin', 'SchemaFlood', 40],
      ['odd.berlin', 'SchemaViolated', 2],
      ['large.berlin', 'SizeExceeded', 1],
      ['', 'IdentityMismatch', 3],
    ]);
    expect(kinds(meter, START + 2 * WINDOW_MS)).toEqual([]);
  });
});

describe('who wants an alert for what does not fit', () => {
  const sent = (devices: number, of: GatewaySegment): unknown[] => {
    const meter = metered(of);
    for (let n = 0; n < devices; n++) refused(meter, 'HR-GW-307', 2, `d-${n}.berlin`);
    return meter
      .tick(START + WINDOW_MS)
      .outputs.flatMap(({ device, body }) => (body.type === 'Alert' ? [[device, body.kind, body.count]] : []));
  };

  it('gets one for each device and minute, and nobody else does', () => {
    expect(sent(1, segment({ onViolation: 'Alert' }))).toEqual([['d-0.berlin', 'schema', 2]]);
    expect(sent(1, segment())).toEqual([]);
  });

  it('gets one for all that are too many to read', () => {
    const alerts = sent(MOST_ALERTS + 30, segment({ onViolation: 'Alert' }));
    expect(alerts).toHaveLength(MOST_ALERTS + 1);
    expect(alerts.at(-1)).toEqual(['', 'storm', 30]);
  });
});

const LOUD = segment({ triggers: ['ReplayDetected', 'SchemaFlood'], onViolation: 'Alert' });
const CODES = Object.keys(ERRORS) as GatewayCode[];
it('whatever comes, and whatever the clock does: all that is said may leave the site, and no two say it under one name', () => {
  const step = fc.record({
    code: fc.option(fc.constantFrom(...CODES), { nil: undefined }),
    times: fc.integer({ min: 1, max: 50 }),
    device: fc.constantFrom('a.berlin', 'b.berlin'),
    jumpMs: fc.integer({ min: -200_000, max: 200_000 }),
  });
  const gate = { site: 'berlin', segment: () => LOUD, refOf: (device: string) => device.replace('.berlin', '') };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const meter = metered(LOUD);
      let nowMs = START;
      const keys: string[] = [];
      for (const { code, times, device, jumpMs } of steps) {
        nowMs += jumpMs;
        for (let n = 0; n < times; n++)
          meter.count(device, 'office.berlin', code === undefined ? { kind: 'message' } : { kind: 'refused', code }, nowMs);
        for (const output of meter.tick(nowMs).outputs) {
          const entry = admit(output, gate, nowMs);
          if (typeof entry === 'string') throw new Error(`${entry} ${JSON.stringify(output)}`);
          const { key, fromMs, toMs, revision: rev, payload } = entry;
          const message = { ...JSON.parse(Buffer.from(payload).toString('utf8')), v: 1, site: 'berlin', key, rev, fromMs, toMs };
          expect(egressProblem(message)).toBeUndefined();
          keys.push(key);
        }
      }
      expect(new Set(keys).size).toBe(keys.length);
    }),
    { numRuns: 100 },
  );
});
