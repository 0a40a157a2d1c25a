import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IssuerName } from './anchors.ts';
import { type DecideInput, decide, type Phase } from './decide.ts';

const OLD: IssuerName = { kind: 'Issuer', name: 'servers-1' };
const NEXT: IssuerName = { kind: 'Issuer', name: 'servers-2' };
const fleet = (n: number): string[] => Array.from({ length: n }, (_, i) => `d-${String(i).padStart(3, '0')}.berlin`);
const input = (more: Partial<DecideInput> = {}): DecideInput => ({
  ...{ rotating: true, fleet: fleet(20), confirmed: new Set(), share: 0.95, forced: false, nextIssuer: NEXT, switchedBefore: false },
  outOfTouch: [],
  certificate: { issuer: OLD, ready: true },
  ...more,
});
const confirmedBy = (n: number, of = 20): Set<string> => new Set(fleet(of).slice(0, n));

describe('the broker', () => {
  it.each<[what: string, input: Partial<DecideInput>, phase: Phase, act: 'switch' | 'none']>([
    ['keeps its certificate without a next anchor', { rotating: false, confirmed: confirmedBy(20) }, 'Steady', 'none'],
    ['waits while nobody has confirmed', {}, 'Distributing', 'none'],
    ['waits for the last one that the share needs', { confirmed: confirmedBy(18) }, 'Distributing', 'none'],
    ['switches when the share is reached', { confirmed: confirmedBy(19) }, 'Switching', 'switch'],
    ['switches for a person before that', { forced: true }, 'Switching', 'switch'],
    ['is not forced into anything without a next anchor', { rotating: false, forced: true }, 'Steady', 'none'],
    ['is left to a person when no Certificate is named', { confirmed: confirmedBy(20), certificate: undefined }, 'ReadyToSwitch', 'none'],
    ['is left to a person when no next issuer is named', { confirmed: confirmedBy(20), nextIssuer: undefined }, 'ReadyToSwitch', 'none'],
    ['waits for cert-manager', { certificate: { issuer: NEXT, ready: false }, switchedBefore: true }, 'Switching', 'none'],
    ['has switched', { certificate: { issuer: NEXT, ready: true }, switchedBefore: true }, 'Switched', 'none'],
    ['has switched by a person, though devices are missing', { certificate: { issuer: NEXT, ready: true } }, 'Switched', 'none'],
    ['is not switched again against Git', { confirmed: confirmedBy(20), switchedBefore: true }, 'SwitchUndone', 'none'],
    ['needs everybody of a small fleet', { fleet: fleet(10), confirmed: confirmedBy(9, 10) }, 'Distributing', 'none'],
    ['with no device has nobody to wait for', { fleet: [] }, 'Switching', 'switch'],
    ['waits for one that enrolled meanwhile', { fleet: fleet(21), share: 1, confirmed: confirmedBy(20) }, 'Distributing', 'none'],
    [
      'does not count one that is not of the fleet',
      { share: 1, confirmed: new Set([...confirmedBy(19), 'x.paris']) },
      'Distributing',
      'none',
    ],
  ])('%s', (_what, more, phase, act) => expect(decide(input(more))).toMatchObject({ phase, act }));

  it('says for whom it waits, and how many more it needs', () => {
    const decision = decide(input({ fleet: ['c.x', 'a.x', 'b.x'], confirmed: new Set(['b.x']), share: 0.6 }));
    expect(decision).toMatchObject({ of: 3, confirmed: 1, missing: 1, waiting: ['a.x', 'c.x'] });
  });

  const anyInput = fc.record({
    rotating: fc.boolean(),
    fleet: fc.uniqueArray(fc.constantFrom(...fleet(40)), { maxLength: 40 }),
    confirmed: fc.uniqueArray(fc.constantFrom(...fleet(60))).map((names) => new Set(names)),
    share: fc.integer({ min: 1, max: 100 }).map((percent) => percent / 100),
    forced: fc.boolean(),
    nextIssuer: fc.constantFrom(undefined, NEXT),
    certificate: fc.constantFrom(undefined, { issuer: OLD, ready: true }, { issuer: NEXT, ready: false }, { issuer: NEXT, ready: true }),
    switchedBefore: fc.boolean(),
    outOfTouch: fc.constantFrom<string[]>([], ['gone.berlin']),
  });

  it('never switches by itself below the share', () => {
    fc.assert(
      fc.property(anyInput, (one) => {
        const { act, confirmed, of } = decide(one);
        if (act === 'switch' && !one.forced) expect(confirmed).toBeGreaterThanOrEqual(one.share * of - 1e-6);
      }),
    );
  });

  it('waits for each device of the fleet that did not confirm, and for no other', () => {
    fc.assert(
      fc.property(anyInput, (one) => {
        const { waiting, confirmed, of } = decide(one);
        expect(new Set(waiting)).toEqual(new Set(one.fleet.filter((name) => !one.confirmed.has(name))));
        expect(confirmed + waiting.length).toBe(of);
      }),
    );
  });

  it('goes on with a confirmation more, never back', () => {
    fc.assert(
      fc.property(anyInput, fc.constantFrom(...fleet(60)), (one, name) => {
        const more = decide({ ...one, confirmed: new Set([...one.confirmed, name]) });
        if (decide(one).act === 'switch') expect(more.act).toBe('switch');
      }),
    );
  });
});
