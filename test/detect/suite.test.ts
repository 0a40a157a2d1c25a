import { describe, expect, it } from 'vitest';
import { runSuite } from './suite.ts';

// Seeded and without a clock: the same on every machine. The figures of the whole suite come from `npm run bench -- faults`.
describe('faults of sensors, with what is always on', () => {
  const { faults, found, of, falseAlerts, deviceWeeks, alone } = runSuite(2, 5, {}, ['temperature', 'pressure', 'power']);

  it('are put into readings at all', () => expect([faults, deviceWeeks]).toEqual([48, 72]));

  it.each(['stuck', 'spike', 'bias', 'noise', 'dropout', 'drift'] as const)('%s is found in every room', (fault) =>
    expect(found[fault]).toBe(of[fault]),
  );

  it('all but the swap and the replay are found without peers too', () =>
    expect([alone.stuck, alone.spike, alone.noise, alone.dropout]).toEqual([of.stuck, of.spike, of.noise, of.dropout]));

  it('and a healthy device is accused less than once a week', () => expect(falseAlerts / deviceWeeks).toBeLessThan(1));
});
