import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Accepted } from '../core/event.ts';
import { createLatest } from './latest.ts';

const NOW = 1_790_000_000_000;
const message = (more: Partial<Accepted> = {}): Accepted => ({
  ...{ kind: 'message', device: 'thermo-1.berlin', segment: 'office.berlin', stream: 'climate', group: '', boot: 1, seq: 1 },
  ...{ atMs: NOW, backfill: false, heardMs: NOW + 5, readings: [['celsius', 21]], ...more },
});
const segment = {} as Parameters<ReturnType<typeof createLatest>['message']>[1];

describe('the last values', () => {
  it('are those of the latest time, not of the latest message', () => {
    const latest = createLatest(100);
    latest.message(message({ readings: [['celsius', 22]] }), segment);
    const older = message({ atMs: NOW - 1, readings: [['celsius', 1]] });
    latest.message(older, segment);
    expect(latest.isNewest(older)).toBe(false);
    expect(latest.isNewest(message({ atMs: NOW + 1 }))).toBe(true);
    expect(latest.of('thermo-1.berlin')?.streams.get('climate')).toEqual({ atMs: NOW, heardMs: NOW + 5, readings: [['celsius', 22]] });
  });

  it('of another segment are gone when the device speaks in a new one', () => {
    const latest = createLatest(100);
    latest.message(message(), segment);
    latest.message(message({ segment: 'lab.berlin', stream: 'air' }), segment);
    expect([...(latest.of('thermo-1.berlin')?.streams.keys() ?? [])]).toEqual(['air']);
  });

  it('have a bound for one device, and one for all: those that are there go on', () => {
    const latest = createLatest(70);
    for (let n = 0; n < 100; n++) latest.message(message({ stream: `s${n}` }), segment);
    expect([latest.of('thermo-1.berlin')?.streams.size, latest.left]).toEqual([64, 36]);
    const many = (value: number): [string, number][] => ['a', 'b', 'c', 'd', 'e', 'f'].map((field) => [field, value]);
    latest.message(message({ device: 'b.berlin', readings: many(1) }), segment);
    latest.message(message({ device: 'c.berlin' }), segment);
    expect([latest.of('b.berlin')?.streams.size, latest.of('c.berlin')?.streams.size]).toEqual([1, 0]);
    latest.message(message({ device: 'b.berlin', readings: many(2) }), segment);
    expect(latest.of('b.berlin')?.streams.get('climate')?.readings[0]).toEqual(['a', 2]);
    latest.forget('thermo-1.berlin');
    latest.message(message({ device: 'c.berlin' }), segment);
    expect(latest.of('c.berlin')?.streams.size).toBe(1);
  });

  it('are the same after a snapshot, and of a forgotten device there is nothing', () => {
    const given = fc.record({
      device: fc.constantFrom('a.berlin', 'b.berlin'),
      segment: fc.constantFrom('office.berlin', 'lab.berlin'),
      stream: fc.constantFrom('air', 'climate'),
      atMs: fc.integer({ min: NOW, max: NOW + 9 }),
      readings: fc.array(fc.tuple(fc.constantFrom('', 'x.y'), fc.double({ noNaN: true, noDefaultInfinity: true })), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(given, { maxLength: 60 }), fc.nat(60), (all, cut) => {
        const [whole, early, late] = [createLatest(20), createLatest(20), createLatest(20)];
        for (const one of all) whole.message(message(one), segment);
        for (const one of all.slice(0, cut)) early.message(message(one), segment);
        late.restore(early.snapshot());
        for (const one of all.slice(cut)) late.message(message(one), segment);
        expect([...late.snapshot()].sort()).toEqual([...whole.snapshot()].sort());
        late.forget('a.berlin');
        expect([...late.snapshot()].join()).not.toContain('a.berlin');
      }),
    );
  });

  it('of another version are none', () => {
    const latest = createLatest(20);
    latest.message(message(), segment);
    latest.restore(['latest 0', 'x']);
    expect(latest.of('thermo-1.berlin')).toBeUndefined();
  });
});
