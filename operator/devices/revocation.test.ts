import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../identity/identity.ts';
import { type Lists, listed, revocationSteps } from './revocation.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const entry = (serial: string, change: Partial<LedgerEntry> = {}): LedgerEntry =>
  ({ serial, issuer: 'Issuer/berlin/devices', deviceUid: 'u1', notAfter: '2026-12-25T12:00:00Z', ...change }) as LedgerEntry;

function lists(on: readonly string[], change: Partial<Lists> = {}): Lists {
  return {
    names: (issuer, serial) => issuer === 'Issuer/berlin/devices' && on.includes(serial),
    known: () => true,
    expected: () => true,
    problem: () => undefined,
    ...change,
  };
}

describe('the certificates of a revoked Device', () => {
  const cases: [what: string, entries: LedgerEntry[], lists: Lists | undefined, expected: string][] = [
    ['are no matter of lists where none is configured', [entry('aa')], undefined, 'off'],
    ['are no matter of lists when there were none', [], lists([]), 'off'],
    ['are no matter of lists once they have expired', [entry('aa', { notAfter: '2026-11-25T12:00:00Z' })], lists([]), 'off'],
    ['are none of its own when they are of another Device of its name', [entry('aa', { deviceUid: 'u0' })], lists([]), 'off'],
    ['are listed when all of them are', [entry('aa'), entry('bb')], lists(['aa', 'bb']), 'listed'],
    ['are awaited when one is missing', [entry('aa'), entry('bb')], lists(['aa']), 'awaited'],
    ['are not awaited where nobody makes a list', [entry('aa')], lists([], { expected: () => false }), 'unlisted'],
    ['are unknown while nobody has looked', [entry('aa')], lists([], { known: () => false }), 'unknown'],
    ['are looked up on the list of their own issuer', [entry('aa', { issuer: 'Issuer/paris/devices' })], lists(['aa']), 'awaited'],
  ];
  it.each(cases)('%s', (_what, entries, known, expected) => expect(listed(entries, 'u1', known, NOW)).toBe(expected));
});

describe('the steps of a revocation', () => {
  const world = fc.record({
    bannedAtBroker: fc.boolean(),
    overriddenAtBroker: fc.boolean(),
    listed: fc.constantFrom('off' as const, 'listed' as const, 'awaited' as const, 'unknown' as const, 'unlisted' as const),
  });

  it('follow the world: each is there exactly when it shows, and keeps its first time while it does', () =>
    fc.assert(
      fc.property(fc.array(world, { maxLength: 6 }), (history) => {
        let steps: { step: string; at: string }[] = [];
        for (const [at, now] of history.entries()) {
          const before = steps;
          steps = revocationSteps(before, now, String(at));
          const has = (step: string) => steps.some((one) => one.step === step);
          expect(has('Ledger')).toBe(true);
          expect(has('Broker')).toBe(now.bannedAtBroker);
          expect(has('Rights')).toBe(now.bannedAtBroker && !now.overriddenAtBroker);
          if (now.listed !== 'unknown') expect(has('Crl')).toBe(now.listed === 'listed');
          else expect(has('Crl')).toBe(before.some(({ step }) => step === 'Crl'));
          for (const { step, at: when } of steps) expect(when).toBe(before.find((old) => old.step === step)?.at ?? String(at));
        }
      }),
    ));
});
