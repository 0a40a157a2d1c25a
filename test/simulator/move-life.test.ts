// Moves in any order with issuance, use, expiry, loss of keys and quarantine: what identity decides and what the broker is to hold, together.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { desiredBroker } from '../../operator/devices/desired.ts';
import { decide, isValid } from '../../operator/identity/decide.ts';
import type { LedgerEntry } from '../../operator/identity/ledger-entry.ts';
import { device, HOUR, input, iso, NOW } from '../../operator/identity/testing/scene.ts';

const SEGMENTS = ['office', 'lab', 'doors'];
const NAME = 'thermo-17.berlin';
type Life = {
  now: number;
  segment: string;
  entries: LedgerEntry[];
  connectedWith: string | undefined;
  lifecycle: 'Active' | 'Quarantined';
};

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('move' as const), to: fc.constantFrom(...SEGMENTS) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('issue' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('connect' as const), with: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('disconnect' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 200 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('lifecycle' as const), to: fc.constantFrom('Active' as const, 'Quarantined' as const) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function issue(life: Life): LedgerEntry {
  const digits = life.entries.length.toString(16).padStart(4, '0');
  const sha256 = digits.repeat(16);
  const hashes = { id: sha256.slice(0, 32), serial: digits, md5: digits.repeat(8), sha256, spki: sha256 };
  const entry: LedgerEntry = {
    ...hashes,
    ...{ device: NAME, deviceUid: 'uid-17', segment: `${life.segment}.berlin`, issuer: 'Issuer/berlin/site-ca', via: 'EST' },
    notBefore: iso(life.now),
    notAfter: iso(life.now + 300 * HOUR),
  };
  life.entries.push(entry);
  return entry;
}

function take(life: Life, step: Step): void {
  life.now += 1_000;
  if (step.kind === 'move') life.segment = step.to;
  else if (step.kind === 'issue') issue(life);
  else if (step.kind === 'disconnect') life.connectedWith = undefined;
  else if (step.kind === 'wait') life.now += step.hours * HOUR;
  else if (step.kind === 'lifecycle') life.lifecycle = step.to;
  else {
    const able = life.entries.filter((entry) => isValid(entry, life.now));
    life.connectedWith = able[step.with % Math.max(1, able.length)]?.md5;
  }
}

const overridesOf = ({ segment, entries, lifecycle, now }: Life) =>
  desiredBroker({ devices: [{ name: NAME, uid: 'uid-17', segment: `${segment}.berlin`, lifecycle }], entries, rights: [], now }).overrides;

/** What the operator does when it looks: only what it decides about certificates of other segments. */
function look(life: Life): void {
  const { now, entries, connectedWith, lifecycle } = life;
  const decision = decide(
    input(device({ segment: life.segment, identity: { enrollment: 'EST' } }), { now, entries, connectedWith, lifecycle }),
  );
  if (decision.do !== 'revoke') return;
  expect(decision.reason).toBe('Moved');
  life.entries = entries.map((entry) =>
    decision.ids.includes(entry.id) ? { ...entry, revoked: { at: iso(now), reason: 'Moved' as const, by: 'hedgerow' } } : entry,
  );
}

it('no certificate has ever the rights of a segment that the Device is not in, none is taken that the device may need, and every move comes to an end', () => {
  let moved = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const life: Life = { now: NOW, segment: 'office', entries: [], connectedWith: undefined, lifecycle: 'Active' };
      issue(life);
      for (const one of steps) {
        take(life, one);
        const youngest = life.entries.at(-1);
        look(life);
        const living = life.entries.filter((entry) => entry.revoked === undefined);
        const elsewhere = living.some((entry) => entry.segment !== `${life.segment}.berlin`);
        expect(overridesOf(life).length > 0).toBe(elsewhere || life.lifecycle === 'Quarantined');
        // The device may hold the youngest and nothing else, and whatever it is connected with works.
        expect(living.some(({ id }) => id === youngest?.id)).toBe(true);
      }
      life.lifecycle = 'Active';
      life.now += 1_000;
      life.connectedWith = issue(life).md5;
      look(life);
      expect(overridesOf(life)).toEqual([]);
      moved += life.entries.filter((entry) => entry.revoked !== undefined).length;
    }),
    { numRuns: 500 },
  );
  // The property would be empty if nothing were ever revoked.
  expect(moved).toBeGreaterThan(100);
});
