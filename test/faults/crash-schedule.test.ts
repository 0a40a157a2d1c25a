// A round that failed must be repeatable from its seed alone, and every kill must fall into the run.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inWords, scheduleFor, VICTIMS } from './crash/schedule.ts';

const where = { seed: fc.nat(1_000_000_000), round: fc.integer({ min: 1, max: 100 }), writes: fc.integer({ min: 1, max: 10_000 }) };

describe('who is killed when', () => {
  it('is the same for the same seed and round, whatever ran before', () => {
    fc.assert(
      fc.property(fc.record({ ...where, every: fc.boolean() }), ({ seed, round, writes, every }) => {
        expect(scheduleFor(seed, round, writes, every)).toEqual(scheduleFor(seed, round, writes, every));
      }),
    );
  });

  it('is everybody once, at points within the run, in their order', () => {
    fc.assert(
      fc.property(fc.record(where), ({ seed, round, writes }) => {
        const kills = scheduleFor(seed, round, writes, true);
        expect(kills.flatMap(({ victims }) => victims).sort()).toEqual([...VICTIMS].sort());
        const points = kills.map(({ afterWrites }) => afterWrites);
        expect(points).toEqual([...points].sort((a, b) => a - b));
        expect(points.every((point) => point >= 1 && point <= writes)).toBe(true);
      }),
    );
  });

  it('or at least the operator or the broker, nobody twice', () => {
    fc.assert(
      fc.property(fc.record(where), ({ seed, round, writes }) => {
        const victims = scheduleFor(seed, round, writes, false).flatMap((kill) => kill.victims);
        expect(new Set(victims).size).toBe(victims.length);
        expect(victims.includes('operator') || victims.includes('broker')).toBe(true);
      }),
    );
  });

  it('differs from round to round and from seed to seed', () => {
    const said = Array.from({ length: 20 }, (_, at) => [
      inWords(scheduleFor(1, at, 2_000, true)),
      inWords(scheduleFor(2, at, 2_000, true)),
    ]).flat();
    expect(new Set(said).size).toBe(said.length);
    // All three are first at some time, and some die together.
    expect(new Set(said.map((words) => words.split(/[ +]/)[0])).size).toBe(VICTIMS.length);
    expect(said.some((words) => words.includes('+'))).toBe(true);
  });
});
