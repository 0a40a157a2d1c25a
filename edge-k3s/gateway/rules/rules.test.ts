import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GatewayConfig } from '../../../operator/api/gateway-config.ts';
import type { LocalRule } from '../../../operator/api/local-rule.ts';
import type { Accepted } from '../core/event.ts';
import { createRules, type Order } from './rules.ts';

const NOW = 1_790_000_000_000;
const HOUR_MS = 3_600_000;
const rule = (fields: Partial<LocalRule> = {}): LocalRule => ({
  ...{ name: 'too-hot', stream: 'climate', field: 'celsius', when: 'above', limit: 30, back: 28, forMs: 0 },
  ...{
    command: { name: 'fan', args: { on: true } },
    whenOver: { name: 'fan', args: { on: false } },
    validMs: 60_000,
    atMost: 60,
    ...fields,
  },
});
const FAN = { segment: 'fans.berlin', device: 'fan-1.berlin' };
const config = (rules: LocalRule[], name = 'office.berlin'): GatewayConfig =>
  ({ version: 1, site: 'berlin', segments: [{ name, rules }] }) as unknown as GatewayConfig;

function makeRules(...rules: LocalRule[]) {
  const orders: Order[] = [];
  const open: Order[] = [];
  const held: string[] = [];
  let newest = true;
  const station = createRules({
    isNewest: () => newest,
    holds: (name, { device }) => void held.push(`${name} ${device}`),
    orders: { order: (one) => void orders.push(one), open: () => open, forget: () => undefined },
  });
  station.configure(config(rules));
  const segment = {} as Parameters<typeof station.message>[1];
  return {
    station,
    orders,
    open,
    held,
    /** Device, name and args of what was ordered since the last look. */
    said: () => orders.splice(0).map(({ device, args }) => `${device} ${args.on === true ? 'on' : 'off'}`),
    older: () => {
      newest = false;
    },
    hear(atS: number, value: number, more: Partial<Accepted> = {}) {
      const event: Accepted = {
        ...{ kind: 'message', device: 'thermo-1.berlin', segment: 'office.berlin', stream: 'climate', group: '', boot: 1, seq: 1 },
        ...{ atMs: NOW + atS * 1000, backfill: false, heardMs: NOW + atS * 1000 + 5, readings: [['celsius', value]], ...more },
      };
      station.message(event, segment);
    },
    tick: (atS: number) => station.tick({ kind: 'tick', nowMs: NOW + atS * 1000, elapsedMs: atS * 1000 }),
  };
}

describe('a rule', () => {
  it('tells the device that measured when its value is beyond the limit, once, and when it is back, once', () => {
    const { hear, said } = makeRules(rule());
    hear(0, 30);
    expect(said()).toEqual([]);
    for (const [at, value] of [31, 35, 31].entries()) hear(at + 1, value);
    expect(said()).toEqual(['thermo-1.berlin on']);
    hear(5, 29);
    expect(said()).toEqual([]);
    hear(6, 28);
    hear(7, 27);
    expect(said()).toEqual(['thermo-1.berlin off']);
  });

  it('below a limit is the same the other way round', () => {
    const { hear, said } = makeRules(rule({ when: 'below', limit: 5, back: 8 }));
    for (const [at, value] of [5, 4, 7, 8].entries()) hear(at, value);
    expect(said()).toEqual(['thermo-1.berlin on', 'thermo-1.berlin off']);
  });

  it('holds only after so long beyond the limit, by the times of the messages', () => {
    const { hear, said } = makeRules(rule({ forMs: 30_000 }));
    hear(0, 31);
    hear(29, 31);
    hear(29.5, 30);
    hear(30, 31);
    hear(59, 31);
    expect(said()).toEqual([]);
    hear(60, 31);
    expect(said()).toEqual(['thermo-1.berlin on']);
  });

  it('tells another device when it holds for the first of many, and when it is over for the last', () => {
    const { hear, said } = makeRules(rule({ to: FAN }));
    hear(0, 31);
    hear(1, 31, { device: 'thermo-2.berlin' });
    hear(2, 20);
    expect(said()).toEqual(['fan-1.berlin on']);
    hear(3, 20, { device: 'thermo-2.berlin' });
    expect(said()).toEqual(['fan-1.berlin off']);
  });

  it('listens to its own field, stream and segment, and to nothing old', () => {
    const one = makeRules(rule());
    one.hear(0, 31, { readings: [['humidity', 31]] });
    one.hear(0, 31, { stream: 'air' });
    one.hear(0, 31, { segment: 'lab.berlin' });
    one.hear(0, 31, { backfill: true });
    one.older();
    one.hear(0, 31);
    expect(one.said()).toEqual([]);
  });

  it('sends no more than so many in an hour, and makes up for what is still true then', () => {
    const { hear, said, tick } = makeRules(rule({ atMost: 3 }));
    for (const [at, value] of [31, 20, 31, 20, 31, 20, 31].entries()) hear(at, value);
    expect(said()).toEqual(['thermo-1.berlin on', 'thermo-1.berlin off', 'thermo-1.berlin on']);
    hear(20, 20);
    tick(3000);
    expect(said()).toEqual([]);
    tick(HOUR_MS / 1000 + 1);
    expect(said()).toEqual(['thermo-1.berlin off']);
  });

  it('is sent again while it holds, where it says so, and not when it is over', () => {
    const { hear, said, tick } = makeRules(rule({ againMs: 60_000 }));
    hear(0, 31);
    tick(30);
    expect(said()).toEqual(['thermo-1.berlin on']);
    tick(61);
    hear(90, 31);
    tick(122);
    expect(said()).toEqual(['thermo-1.berlin on', 'thermo-1.berlin on']);
    hear(130, 20);
    tick(400);
    expect(said()).toEqual(['thermo-1.berlin off']);
  });

  it('without a command for its end holds anew the next time', () => {
    const { whenOver: _, ...once } = rule();
    const { hear, said } = makeRules(once);
    for (const [at, value] of [31, 20, 31].entries()) hear(at, value);
    expect(said()).toEqual(['thermo-1.berlin on', 'thermo-1.berlin on']);
  });

  it('of a device that was moved to another segment, or erased, is over for the others', () => {
    const { hear, said, tick, station } = makeRules(rule({ to: FAN }));
    hear(0, 31);
    hear(1, 31, { device: 'thermo-2.berlin' });
    hear(2, 31, { segment: 'lab.berlin' });
    tick(3);
    expect(said()).toEqual(['fan-1.berlin on']);
    station.forget('thermo-2.berlin');
    tick(4);
    expect(said()).toEqual(['fan-1.berlin off']);
    expect([...station.snapshot()].join()).not.toContain('thermo-2');
  });

  it('that changes its limit goes on; one that tells somebody else begins anew; one that is gone says nothing', () => {
    const { hear, said, tick, station } = makeRules(rule({ to: FAN }));
    hear(0, 31);
    expect(said()).toEqual(['fan-1.berlin on']);
    station.configure(config([rule({ to: FAN, limit: 40, back: 35 })]));
    hear(1, 34);
    expect(said()).toEqual(['fan-1.berlin off']);
    station.configure(config([rule({ to: { ...FAN, device: 'fan-2.berlin' } })]));
    hear(2, 41);
    expect(said()).toEqual(['fan-2.berlin on']);
    station.configure(config([]));
    hear(3, 20);
    tick(4);
    expect(said()).toEqual([]);
  });
});

describe('that a rule begins to hold', () => {
  it('is told once for each device, and again when it did not hold in between', () => {
    const { hear, held } = makeRules(rule());
    for (const [at, value] of [31, 32, 31].entries()) hear(at, value);
    hear(3, 33, { device: 'thermo-2.berlin' });
    hear(4, 20);
    hear(5, 31);
    expect(held).toEqual(['too-hot thermo-1.berlin', 'too-hot thermo-2.berlin', 'too-hot thermo-1.berlin']);
  });
});

describe('orders', () => {
  it('have rising numbers, also when the clock is set back, different nonces, and their end', () => {
    const { hear, orders } = makeRules(rule());
    for (const [at, value] of [31, 20].entries()) hear(at, value);
    hear(2, 31, { heardMs: NOW - 86_400_000 });
    const [first, second, third] = orders;
    expect(first).toMatchObject({ rule: 'too-hot', segment: 'office.berlin', name: 'fan', seq: NOW + 5, iat: NOW + 5, exp: NOW + 60_005 });
    expect([second?.seq, third?.seq]).toEqual([NOW + 1005, NOW + 1006]);
    expect(new Set(orders.map(({ nonce }) => nonce)).size).toBe(3);
    expect(first?.nonce).toMatch(/^[0-9a-f]{32}$/);
  });

  it('after a snapshot and the same events are the same, numbers, nonces and all', () => {
    const event = fc.oneof(
      fc.record({ value: fc.integer({ min: 20, max: 40 }), device: fc.constantFrom('a.berlin', 'b.berlin'), lab: fc.boolean() }),
      fc.record({ tickS: fc.integer({ min: 1, max: 4000 }) }),
    );
    const all = [rule({ to: FAN, atMost: 2 }), rule({ name: 'warm', limit: 25, back: 24, forMs: 2000, againMs: 3000 })];
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), fc.nat(80), (given, cut) => {
        const run = (one: ReturnType<typeof makeRules>, from: number, to: number): void => {
          for (const [at, step] of given.slice(from, to).entries()) {
            if ('tickS' in step) one.tick(from + at + step.tickS);
            else one.hear(from + at, step.value, { device: step.device, segment: step.lab ? 'lab.berlin' : 'office.berlin' });
          }
        };
        const [whole, early, late] = [makeRules(...all), makeRules(...all), makeRules(...all)];
        run(whole, 0, given.length);
        run(early, 0, cut);
        late.station.restore(early.station.snapshot());
        run(late, cut, given.length);
        expect([...early.orders, ...late.orders]).toEqual(whole.orders);
      }),
    );
  });

  it('that have not gone out when a snapshot is written are there after it', () => {
    const one = makeRules(rule());
    one.hear(0, 31);
    one.open.push(...one.orders);
    const other = makeRules(rule());
    other.station.restore(one.station.snapshot());
    expect(other.orders).toEqual(one.orders);
  });

  it('are never more than so many in an hour to one device, whatever is measured', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ afterS: fc.nat(900), value: fc.integer({ min: 20, max: 40 }) }), { maxLength: 120 }), (given) => {
        const one = makeRules(rule({ atMost: 3, againMs: 60_000 }));
        let at = 0;
        for (const { afterS, value } of given) {
          at += afterS;
          one.hear(at, value);
          one.tick(at);
        }
        // An hour begins with its first command: any stretch of one has parts of two at most.
        for (const { iat } of one.orders) {
          const within = one.orders.filter((other) => other.iat >= iat && other.iat < iat + HOUR_MS);
          expect(within.length).toBeLessThanOrEqual(6);
        }
      }),
    );
  });
});
