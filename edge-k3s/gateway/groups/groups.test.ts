import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { egressProblem, type MessageOf } from '../../../operator/api/egress.ts';
import type { GatewayConfig, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Accepted } from '../core/event.ts';
import type { Output } from '../core/output.ts';
import { CORRECTION_MS, createGroups, type Groups, LATENESS_MS } from './groups.ts';

const START_MS = Date.parse('2026-11-01T00:00:00Z');
const MINUTE_MS = 60_000;
const SEGMENT: GatewaySegment = {
  ...{ name: 'office.berlin', egress: 'Aggregates', pseudonyms: true, schemas: [], onViolation: 'Drop', maxBytes: 16_384 },
  ...{ replay: { window: 64, maxSkewMs: 120_000 }, triggers: [], windowMs: MINUTE_MS, groupBy: 'zone', minGroup: 5, detect: [], rules: [] },
  retentionMs: { trend: 1, alert: 1, security: 1 },
};
const config = (more: Partial<GatewaySegment> = {}): GatewayConfig => ({ version: 1, site: 'berlin', segments: [{ ...SEGMENT, ...more }] });

type World = {
  groups: Groups;
  outputs: Output[];
  /** `minutes` since the beginning; the device is heard at once. */
  say(device: number, minutes: number, value: number, more?: Partial<Accepted>): void;
  at(minutes: number): void;
};

function world(more: Partial<GatewaySegment> = {}, most?: number): World {
  const outputs: Output[] = [];
  const groups = createGroups((output) => outputs.push(output), most);
  groups.configure(config(more));
  let last = 0;
  const at = (minutes: number): void => {
    last = Math.max(last, minutes);
    groups.tick({ kind: 'tick', nowMs: START_MS + last * MINUTE_MS, elapsedMs: 1000 + last * MINUTE_MS });
  };
  at(0);
  return {
    ...{ groups, outputs, at },
    say(device, minutes, value, event = {}) {
      const atMs = START_MS + minutes * MINUTE_MS;
      at(((event.heardMs ?? atMs) - START_MS) / MINUTE_MS);
      groups.message(
        {
          ...{ kind: 'message', device: `d-${device}.berlin`, segment: SEGMENT.name, stream: 'climate', group: '3', boot: 1, seq: 1, atMs },
          ...{ backfill: false, heardMs: atMs, readings: [['celsius', value]], ...event },
        },
        { ...SEGMENT, ...more },
      );
    },
  };
}

const AFTER = 1 + LATENESS_MS / MINUTE_MS;
const GONE = AFTER + CORRECTION_MS / MINUTE_MS;
const trendsOf = (outputs: readonly Output[]) => outputs.map(({ body, ...one }) => ({ ...one, ...(body as MessageOf<'Trend'>) }));

describe('groups', () => {
  it('makes one trend of what five devices measured in a minute', () => {
    const { say, at, outputs } = world();
    for (const device of [1, 2, 3, 4, 5]) for (const value of [20, 22]) say(device, 0.5, value + device / 10);
    at(AFTER - 0.1);
    expect(outputs).toEqual([]);
    at(AFTER);
    expect(trendsOf(outputs)).toMatchObject([
      {
        segment: SEGMENT.name,
        device: '',
        group: '3',
        metric: 'climate:celsius',
        devices: 5,
        count: 10,
        mean: 21.3,
        rev: 0,
        fromMs: START_MS,
        toMs: START_MS + MINUTE_MS,
      },
    ]);
  });

  it('says nothing of four devices, however much they say, and counts that', () => {
    const { say, at, outputs, groups } = world();
    for (const device of [1, 2, 3, 4]) for (let n = 0; n < 50; n++) say(device, n / 60, 20 + n);
    at(GONE);
    expect(outputs).toEqual([]);
    expect(groups.suppressed).toBe(1);
  });

  it('does not take two groups together, nor two values', () => {
    const { say, at, outputs } = world();
    for (const device of [1, 2, 3]) say(device, 0.5, 20, { group: 'a' });
    for (const device of [4, 5, 6]) say(device, 0.5, 20, { group: 'b' });
    for (const device of [7, 8, 9]) say(device, 0.5, 20, { group: 'a', readings: [['humidity', 40]] });
    at(GONE);
    expect(outputs).toEqual([]);
  });

  it('sends no correction of fewer than five devices: its difference to what was sent would be theirs', () => {
    const { say, at, outputs, groups } = world();
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 20);
    at(AFTER);
    for (const device of [6, 7, 8, 9]) say(device, 0.6, 90);
    at(GONE);
    expect(trendsOf(outputs)).toMatchObject([{ rev: 0, count: 5 }]);
    expect(groups.suppressed).toBe(1);
  });

  it('sends one correction with all that came late, when it is of five devices', () => {
    const { say, at, outputs } = world();
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 20);
    at(AFTER);
    for (const device of [3, 4, 5, 6, 7]) say(device, 0.6, 40);
    at(GONE);
    const [first, second] = trendsOf(outputs);
    expect([first, second]).toMatchObject([
      { rev: 0, count: 5, devices: 5, mean: 20 },
      { rev: 1, count: 10, devices: 7, mean: 30 },
    ]);
    expect(second?.id).toBe(first?.id);
  });

  it('waits for enough devices until corrections end', () => {
    const { say, at, outputs } = world();
    for (const device of [1, 2, 3, 4]) say(device, 0.5, 20);
    at(AFTER);
    say(5, 0.6, 20);
    at(GONE);
    expect(trendsOf(outputs)).toMatchObject([{ rev: 0, devices: 5 }]);
  });

  it('gives what comes for a window after its end another key: both are added up, nothing is counted twice', () => {
    const { say, at, outputs } = world();
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 20);
    at(GONE);
    const heardMs = START_MS + (GONE + 1) * MINUTE_MS;
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 30, { heardMs, backfill: true });
    at(2 * GONE);
    const [first, second] = trendsOf(outputs);
    expect([first, second]).toMatchObject([
      { rev: 0, count: 5, mean: 20, fromMs: START_MS },
      { rev: 0, count: 5, mean: 30, fromMs: START_MS },
    ]);
    expect(second?.id).not.toBe(first?.id);
  });

  it('has no reading as it was sent in what it gives out', () => {
    const { say, at, outputs } = world();
    const values = [21.48291, 21.59372, 19.99173, 20.28134, 25.11975, -3.33716];
    for (const [device, value] of values.entries()) say(device, 0.5, value);
    at(AFTER);
    for (const value of values) expect(JSON.stringify(outputs)).not.toContain(String(Math.abs(value)));
    expect(outputs).toHaveLength(1);
  });

  it('is not waited for by a device whose clock goes ahead, nor does it close the window of others', () => {
    const { say, at, outputs } = world();
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 20);
    for (const device of [1, 2, 3, 4, 5]) say(device, 60, 20, { heardMs: START_MS });
    at(0.9);
    for (const device of [6, 7]) say(device, 0.9, 20);
    at(AFTER);
    expect(trendsOf(outputs)).toHaveLength(1);
    at(AFTER + 0.5);
    expect(trendsOf(outputs).map((one) => [one.fromMs - START_MS, one.devices])).toEqual([
      [0, 7],
      [60 * MINUTE_MS, 5],
    ]);
  });

  it('lets the name of a value out only when the policy has it or enough devices use it', () => {
    const { say, at, groups } = world({ detect: [{ stream: 'climate', field: 'told' }] });
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 20, { readings: [['used', 1]] });
    say(1, 0.5, 20, { readings: [['alice-is-at-home', 1]] });
    at(GONE);
    const nameOf = (field: string) => groups.nameOf(SEGMENT.name, 'climate', field);
    expect([nameOf('told'), nameOf('used'), nameOf('alice-is-at-home'), nameOf('never')]).toEqual([
      'climate:told',
      'climate:used',
      undefined,
      undefined,
    ]);
  });

  it('keeps nothing of values whose name is no level of a topic', () => {
    const { say, at, outputs, groups } = world();
    for (const device of [1, 2, 3, 4, 5])
      say(device, 0.5, 20, {
        readings: [
          ['a b', 1],
          ['#', 2],
          ['a/b', 3],
        ],
      });
    at(GONE);
    expect(outputs).toEqual([]);
    expect([...groups.snapshot()]).toHaveLength(2);
  });

  it('holds no more of a device that makes up names than of any other, and says what it did not count', () => {
    const { say, at, outputs, groups } = world();
    for (let n = 0; n < 2_000; n++) say(1, 0.5, 20, { readings: [[`made-up-${n}`, 1]] });
    for (const device of [2, 3, 4, 5, 6]) say(device, 0.5, 20);
    expect([...groups.snapshot()].length).toBeLessThan(600);
    at(GONE);
    const [trend] = trendsOf(outputs.filter(({ body }) => body.type === 'Trend'));
    expect(trend).toMatchObject({ devices: 5 });
    expect(outputs.find(({ body }) => body.type === 'DataLoss')?.body).toEqual({
      type: 'DataLoss',
      class: 'trend',
      reason: 'bound',
      count: 1488,
    });
  });

  it('has nothing of an erased device any more, and others are as they were', () => {
    const { say, at, outputs, groups } = world();
    for (const device of [1, 2, 3, 4, 5, 6]) say(device, 0.5, device === 6 ? 99 : 20);
    say(6, 0.5, 1, { stream: 'only-of-six' });
    groups.forget('d-6.berlin');
    expect([...groups.snapshot()].join()).not.toMatch(/d-6|only-of-six/);
    at(AFTER);
    expect(trendsOf(outputs)).toMatchObject([{ devices: 5, mean: 20 }]);
    for (const device of [1, 2, 3, 4, 5]) groups.forget(`d-${device}.berlin`);
    expect([...groups.snapshot()].join()).not.toContain('d-');
  });

  it('has a width that is changed begin anew: no reading is in two windows', () => {
    const { say, at, outputs, groups } = world();
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 20);
    const wide = { ...SEGMENT, windowMs: 5 * MINUTE_MS };
    groups.configure({ ...config(), segments: [wide] });
    for (const device of [1, 2, 3, 4, 5]) {
      const atMs = START_MS + 0.7 * MINUTE_MS;
      const event = { kind: 'message', device: `d-${device}.berlin`, segment: SEGMENT.name, stream: 'climate', group: '3' } as const;
      groups.message({ ...event, boot: 1, seq: 2, atMs, backfill: false, heardMs: atMs, readings: [['celsius', 30]] }, wide);
    }
    at(20);
    expect(trendsOf(outputs).map((one) => [one.toMs - one.fromMs, one.count, one.mean])).toEqual([
      [5 * MINUTE_MS, 5, 30],
      [MINUTE_MS, 5, 20],
    ]);
  });

  it('lets go of a segment that has no policy any more', () => {
    const { say, at, outputs, groups } = world();
    for (const device of [1, 2, 3, 4, 5]) say(device, 0.5, 20);
    groups.configure({ ...config(), segments: [] });
    at(GONE);
    expect(outputs).toEqual([]);
    expect([...groups.snapshot()]).toHaveLength(2);
  });

  it('begins as empty with the lines of another version, and goes on after its own as if nothing had been', () => {
    const step = fc.oneof(
      fc.record({ device: fc.integer({ min: 1, max: 7 }), value: fc.integer({ min: -5, max: 40 }), field: fc.constantFrom('a', 'b') }),
      fc.record({ minutes: fc.integer({ min: 1, max: 4 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(60), (steps, cut) => {
        const [whole, halved] = [world(), world()];
        let minutes = 0;
        for (const [n, one] of steps.entries()) {
          if (n === cut) {
            const lines = [...halved.groups.snapshot()];
            halved.groups.restore(['groups 0', ...lines.slice(1)]);
            expect([...halved.groups.snapshot()]).toHaveLength(2);
            halved.groups.restore(lines);
          }
          for (const { say, at } of [whole, halved]) {
            if ('minutes' in one) at(minutes + one.minutes);
            else say(one.device, minutes + 0.5, one.value, { readings: [[one.field, one.value]] });
          }
          if ('minutes' in one) minutes += one.minutes;
        }
        expect(halved.outputs).toEqual(whole.outputs);
      }),
      { numRuns: 60 },
    );
  });

  it('never gives out a window, or a difference of two revisions, of fewer devices than agreed; and no reading twice', () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          device: fc.integer({ min: 1, max: 9 }),
          back: fc.integer({ min: 0, max: 8 }),
          group: fc.constantFrom('a', 'b'),
        }),
      },
      { weight: 1, arbitrary: fc.record({ minutes: fc.integer({ min: 1, max: 9 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 2, max: 5 }), (steps, minGroup) => {
        const { say, at, outputs } = world({ minGroup });
        let [minutes, readings] = [0, 0];
        for (const one of steps) {
          if ('minutes' in one) {
            minutes += one.minutes;
            at(minutes);
          } else {
            readings += 1;
            say(one.device, Math.max(0, minutes - one.back) + 0.5, one.device, {
              group: one.group,
              heardMs: START_MS + minutes * MINUTE_MS,
            });
          }
        }
        at(minutes + 60);
        const before = new Map<string, number[]>();
        let sent = 0;
        for (const one of trendsOf(outputs)) {
          const { id: key, device: _device, subject: _subject, ...message } = one;
          expect(egressProblem({ ...message, v: 1, site: 'berlin', segment: 'office', key })).toBeUndefined();
          const earlier = new Map(pairs(before.get(one.id) ?? []));
          // A bin for each device: what is new in this revision is of so many devices.
          const added = pairs(one.positive).filter(([bin, count]) => count > (earlier.get(bin) ?? 0));
          expect(added.length).toBeGreaterThanOrEqual(minGroup);
          sent += added.reduce((sum, [bin, count]) => sum + count - (earlier.get(bin) ?? 0), 0);
          before.set(one.id, one.positive);
        }
        expect(sent).toBeLessThanOrEqual(readings);
      }),
      { numRuns: 100 },
    );
  });
});

const pairs = (flat: readonly number[]): [number, number][] =>
  Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] ?? 0, flat[2 * at + 1] ?? 0]);
