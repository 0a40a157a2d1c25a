import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effective, holds, type Lifecycle, type Standing } from './effective.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const quarantine: Standing = {
  name: 'q1',
  action: 'Quarantine',
  requestedBy: 'alice',
  reason: 'beaconing',
  createdAt: '2026-11-24T11:00:00Z',
};
const revoke: Standing = { name: 'r1', action: 'Revoke', requestedBy: 'bob', reason: 'stolen', createdAt: '2026-11-24T11:30:00Z' };
const RANK: Record<Lifecycle, number> = { Active: 0, Quarantined: 1, Revoked: 2 };

describe('what a Device is by now', () => {
  it.each<[string, Lifecycle, Standing[], Lifecycle, string | undefined]>([
    ['without interventions it is what the manifest says', 'Active', [], 'Active', undefined],
    [
      'a Quarantine makes an Active device quarantined, and names who did it',
      'Active',
      [quarantine],
      'Quarantined',
      'Intervention q1 of alice',
    ],
    ['a Revoke beats a Quarantine', 'Active', [quarantine, revoke], 'Revoked', 'Intervention r1 of bob'],
    ['a Quarantine does not soften a manifest that says Revoked', 'Revoked', [quarantine], 'Revoked', undefined],
    [
      'an intervention as strict as the manifest is the one that is named',
      'Quarantined',
      [quarantine],
      'Quarantined',
      'Intervention q1 of alice',
    ],
    ['a manifest set back to Active does not end a Quarantine', 'Active', [quarantine], 'Quarantined', 'Intervention q1 of alice'],
    ['a Quarantine that has expired is over', 'Active', [{ ...quarantine, expiresAt: NOW - 1 }], 'Active', undefined],
    ['the instant of the end is over', 'Active', [{ ...quarantine, expiresAt: NOW }], 'Active', undefined],
    ['a Quarantine with its end ahead holds', 'Active', [{ ...quarantine, expiresAt: NOW + 1 }], 'Quarantined', 'Intervention q1 of alice'],
    ['a Revoke does not end, whatever it says', 'Active', [{ ...revoke, expiresAt: NOW - 1 }], 'Revoked', 'Intervention r1 of bob'],
  ])('%s', (_name, spec, interventions, lifecycle, by) => {
    const result = effective(spec, interventions, NOW);
    expect([result.lifecycle, result.by]).toEqual([lifecycle, by]);
  });

  it('of two alike the older one is named, with its reason and time', () => {
    const younger = { ...quarantine, name: 'a0', createdAt: '2026-11-24T11:59:00Z' };
    expect(effective('Active', [younger, quarantine], NOW)).toEqual({
      lifecycle: 'Quarantined',
      by: 'Intervention q1 of alice',
      reason: 'beaconing',
      since: quarantine.createdAt,
    });
  });
});

describe('properties of the stricter one', () => {
  const lifecycle = fc.constantFrom<Lifecycle>('Active', 'Quarantined', 'Revoked');
  const standing = fc.record({
    name: fc.string({ minLength: 1, maxLength: 4 }),
    action: fc.constantFrom<Standing['action']>('Quarantine', 'Revoke'),
    requestedBy: fc.constant('alice'),
    reason: fc.constant('r'),
    createdAt: fc.constantFrom('2026-11-24T11:00:00Z', '2026-11-24T11:00:01Z'),
    expiresAt: fc.constantFrom(NOW - 1, NOW, NOW + 1),
  });

  it('is never less strict than the manifest or than any standing intervention alone', () => {
    fc.assert(
      fc.property(lifecycle, fc.array(standing, { maxLength: 6 }), (spec, interventions) => {
        const all = RANK[effective(spec, interventions, NOW).lifecycle];
        expect(all).toBeGreaterThanOrEqual(RANK[spec]);
        for (const one of interventions) expect(all).toBeGreaterThanOrEqual(RANK[effective(spec, [one], NOW).lifecycle]);
      }),
    );
  });

  it('does not depend on the order of the interventions', () => {
    fc.assert(
      fc.property(lifecycle, fc.uniqueArray(standing, { maxLength: 6, selector: (one) => one.name }), (spec, interventions) => {
        expect(effective(spec, [...interventions].reverse(), NOW)).toEqual(effective(spec, interventions, NOW));
      }),
    );
  });

  it('is the manifest once everything is over', () => {
    fc.assert(
      fc.property(lifecycle, fc.array(standing, { maxLength: 6 }), (spec, interventions) => {
        const over = interventions.filter((one) => !holds(one, NOW));
        expect(effective(spec, over, NOW)).toEqual({ lifecycle: spec });
      }),
    );
  });
});
