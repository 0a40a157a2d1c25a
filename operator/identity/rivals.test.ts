import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeviceFacts } from './device-facts.ts';
import { firstOf } from './rivals.ts';
import { device } from './testing/scene.ts';

const older = device({ name: 'older', uid: 'u2', createdAt: '2026-01-01T00:00:00Z' });
const newer = device({ name: 'newer', uid: 'u1', createdAt: '2026-01-02T00:00:00Z' });
const twin = device({ name: 'twin', uid: 'u0', createdAt: '2026-01-01T00:00:00Z' });
const nobody = (): boolean => false;

describe('of two Devices with one serial number or key', () => {
  it.each<[string, DeviceFacts, DeviceFacts[], (d: DeviceFacts) => boolean, string | undefined]>([
    ['the older is first', newer, [older, newer], nobody, 'berlin/older'],
    ['and the older itself has nobody before it', older, [older, newer], nobody, undefined],
    ['one that has a certificate is first, whatever its age', older, [older, newer], (d) => d === newer, 'berlin/newer'],
    ['of two of one second the lower uid is first', older, [older, twin], nobody, 'berlin/twin'],
    ['a Device alone is first', older, [older], nobody, undefined],
    ['a Device that the index does not show yet is judged all the same', newer, [older], nobody, 'berlin/older'],
    ['the same object in another version is no rival', older, [{ ...older, resourceVersion: '99' }], nobody, undefined],
  ])('%s', (_name, one, all, hasCertificate, expected) => expect(firstOf(one, all, hasCertificate)).toBe(expected));

  it('exactly one is first, and all others name it', () => {
    const claimants = fc.uniqueArray(
      fc.record({ uid: fc.stringMatching(/^[a-z]{2}$/), day: fc.integer({ min: 1, max: 3 }), certified: fc.boolean() }),
      { minLength: 1, maxLength: 6, selector: (c) => c.uid },
    );
    fc.assert(
      fc.property(claimants, (list) => {
        const all = list.map(({ uid, day }) => device({ name: `d-${uid}`, uid, createdAt: `2026-01-0${day}T00:00:00Z` }));
        const certified = (d: DeviceFacts) => list.find((c) => c.uid === d.uid)?.certified === true;
        const answers = all.map((d) => firstOf(d, all, certified) ?? d.key);
        expect(new Set(answers).size).toBe(1);
        expect(all.map((d) => d.key)).toContain(answers[0]);
      }),
    );
  });
});
