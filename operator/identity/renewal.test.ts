import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isBefore, managedRenewBeforeMs, opensAt, overdueAt, type Rotation, renewAt, rotationBefore } from './renewal.ts';
import { HOUR, iso, NOW } from './testing/scene.ts';

const SECOND = 1_000;
const thirtyDays = { durationMs: 720 * HOUR, renewBeforeMs: 240 * HOUR };
const lifetime = { notBefore: iso(NOW), notAfter: iso(NOW + 720 * HOUR), via: 'CSR' as const };

/** Any certificate, and any Device that asks for renewal at any time before its end. */
const certificate = fc
  .record({ from: fc.integer({ min: 0, max: 10_000 }), seconds: fc.integer({ min: 1, max: 157_680_000 }) })
  .map(({ from, seconds }) => ({
    notBefore: iso(NOW + from * SECOND),
    notAfter: iso(NOW + (from + seconds) * SECOND),
    via: 'EST' as const,
    lifetimeMs: seconds * SECOND,
  }));
const device = fc.record({
  uid: fc.uuid(),
  durationMs: fc.integer({ min: 1, max: 157_680_000 }).map((seconds) => seconds * SECOND),
  renewBeforeMs: fc.integer({ min: 1, max: 157_680_000 }).map((seconds) => seconds * SECOND),
});

describe('the time of renewal', () => {
  it('is never later than renewBefore says, never earlier than a tenth of the time before that, and inside the lifetime', () => {
    fc.assert(
      fc.property(certificate, device, (entry, one) => {
        const [start, end] = [Date.parse(entry.notBefore), Date.parse(entry.notAfter)];
        const before = one.renewBeforeMs < entry.lifetimeMs ? one.renewBeforeMs : entry.lifetimeMs / 3;
        const at = renewAt(entry, one);
        expect(at).toBeLessThanOrEqual(end - before);
        expect(at).toBeGreaterThanOrEqual(Math.floor(end - before - (entry.lifetimeMs - before) / 10));
        expect(at).toBeGreaterThanOrEqual(start);
        expect(at).toBeLessThan(end);
      }),
    );
  });

  it('follows from Device and certificate alone', () => {
    fc.assert(fc.property(certificate, device, (entry, one) => renewAt({ ...entry }, { ...one }) === renewAt(entry, one)));
  });

  it('of 10,000 devices that were certified in one second is spread over the whole tenth', () => {
    const times = Array.from({ length: 10_000 }, (_, at) => renewAt(lifetime, { uid: `0b8f6d0e-${at}`, ...thirtyDays }));
    const hourOf = (at: number): number => Math.min(47, Math.floor((at - (NOW + 432 * HOUR)) / HOUR));
    const perHour = Array.from({ length: 48 }, (_, hour) => times.filter((at) => hourOf(at) === hour).length);
    // 208 an hour on average; five standard deviations of a Poisson distribution are 72.
    expect(Math.max(...perHour)).toBeLessThan(208 + 72);
    expect(Math.min(...perHour)).toBeGreaterThan(208 - 72);
  });

  it('of a Managed device is the one that its Certificate tells cert-manager, in whole seconds and inside its limits', () => {
    const managed = device.filter(({ durationMs, renewBeforeMs }) => renewBeforeMs < durationMs);
    fc.assert(
      fc.property(managed, (one) => {
        const before = managedRenewBeforeMs(one);
        expect(before % SECOND).toBe(0);
        expect(before).toBeGreaterThanOrEqual(one.renewBeforeMs);
        expect(before).toBeLessThan(one.durationMs);
        const entry = { notBefore: iso(NOW), notAfter: iso(NOW + one.durationMs), via: 'Managed' as const };
        expect(renewAt(entry, one)).toBe(NOW + one.durationMs - before);
      }),
    );
  });
});

describe('a renewal is overdue', () => {
  it('after half of what is left when it begins, before the end', () => {
    const opens = NOW + 480 * HOUR;
    expect(overdueAt(opens, lifetime)).toBe(NOW + 600 * HOUR);
  });
  it('at the end of a certificate whose window never opened', () => {
    expect(overdueAt(NOW + 800 * HOUR, lifetime)).toBe(NOW + 720 * HOUR);
  });
});

describe('a Rotate', () => {
  const one = { uid: 'uid-17', ...thirtyDays };
  const rotation: Rotation = { at: iso(NOW + HOUR) };
  it('opens the window of a certificate from before it, at the time at which it was created', () => {
    expect(opensAt(lifetime, one, rotation)).toBe(NOW + HOUR);
  });
  it('is not about one that came after it, nor does it put off a window that is open', () => {
    expect(opensAt({ ...lifetime, afterRotation: rotation.at }, one, rotation)).toBe(renewAt(lifetime, one));
    expect(opensAt(lifetime, one, { at: iso(NOW + 700 * HOUR) })).toBe(renewAt(lifetime, one));
  });
  it('is about one that came after an older one only', () => {
    expect(isBefore({ afterRotation: iso(NOW) }, rotation.at)).toBe(true);
  });
});

describe('what a new certificate comes after', () => {
  const both: Rotation = { at: iso(NOW + 20 * SECOND), compromised: { at: iso(NOW + 10 * SECOND), by: 'x' } };
  const own = { own: true, keyRevoked: false, createdAt: iso(NOW) };
  const theirs = { own: false, keyRevoked: false };

  it.each<[string, Rotation | undefined, Parameters<typeof rotationBefore>[1], number | undefined]>([
    ['nothing without a Rotate', undefined, own, undefined],
    ['the newest, of a request of the operator’s own for the key in the manifest', both, own, 20],
    ['nothing, of a key that was given up', both, { ...own, keyRevoked: true }, undefined],
    ['the newest, of a request that was made later', both, { ...theirs, createdAt: iso(NOW + 21 * SECOND) }, 20],
    ['only the older, of one that was made between the two', both, { ...theirs, createdAt: iso(NOW + 15 * SECOND) }, 10],
    ['nothing, of one that was made before both', both, { ...theirs, createdAt: iso(NOW + 5 * SECOND) }, undefined],
    ['only the older, of one in the same second as the newer', both, { ...theirs, createdAt: iso(NOW + 20 * SECOND) }, 10],
  ])('is %s', (_name, rotation, request, seconds) => {
    expect(rotationBefore(rotation, request)).toBe(seconds === undefined ? undefined : iso(NOW + seconds * SECOND));
  });

  it('is never a Rotate that was created after the request of somebody else', () => {
    const at = fc.integer({ min: 0, max: 100 });
    fc.assert(
      fc.property(at, at, at, (newest, lost, asked) => {
        const rotation = { at: iso(NOW + newest * SECOND), compromised: { at: iso(NOW + lost * SECOND), by: 'x' } };
        const after = rotationBefore(rotation, { ...theirs, createdAt: iso(NOW + asked * SECOND) });
        expect(after === undefined || Date.parse(after) < NOW + asked * SECOND).toBe(true);
      }),
    );
  });
});
