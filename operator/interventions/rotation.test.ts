import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rotationOf } from './rotation.ts';
import type { InterventionView } from './view.ts';

const rotate = (name: string, createdAt: string, compromised = false) =>
  ({ name, createdAt, compromised, requestedBy: 'alice', action: 'Rotate' }) as InterventionView;
const EARLY = '2026-11-24T11:00:00Z';
const LATE = '2026-11-24T12:00:00Z';
const plus = (at: string, ms: number): string => new Date(Date.parse(at) + ms).toISOString();
const by = (name: string) => `Intervention ${name} of alice`;

describe('what the Rotates on a Device come to', () => {
  it.each<[string, InterventionView[], ReturnType<typeof rotationOf>]>([
    ['nothing without one', [], undefined],
    ['the time of the newest', [rotate('b', LATE), rotate('a', EARLY)], { at: LATE }],
    [
      'of keys in other hands, who says so, and a time that no routine one of that second has',
      [rotate('a', EARLY, true)],
      { at: plus(EARLY, 1), compromised: { at: plus(EARLY, 1), by: by('a') } },
    ],
    [
      'later with each that says so in the same second',
      [rotate('b', EARLY, true), rotate('a', EARLY, true), rotate('c', EARLY)],
      { at: plus(EARLY, 2), compromised: { at: plus(EARLY, 2), by: by('b') } },
    ],
    [
      'a routine one after it gives up nothing more',
      [rotate('b', LATE), rotate('a', EARLY, true)],
      { at: LATE, compromised: { at: plus(EARLY, 1), by: by('a') } },
    ],
  ])('is %s', (_name, views, expected) => expect(rotationOf(views)).toEqual(expected));

  it('does not depend on the order in which they are listed, and no key is given up later than the newest was made', () => {
    const view = fc
      .record({ name: fc.string({ minLength: 1, maxLength: 3 }), seconds: fc.integer({ min: 0, max: 5 }), compromised: fc.boolean() })
      .map(({ name, seconds, compromised }) => rotate(name, `2026-11-24T11:00:0${seconds}Z`, compromised));
    const views = fc.uniqueArray(view, { maxLength: 6, selector: ({ name }) => name });
    fc.assert(
      fc.property(views, (some) => {
        const rotation = rotationOf(some);
        expect(rotationOf([...some].reverse())).toEqual(rotation);
        expect(Date.parse(rotation?.compromised?.at ?? '') > Date.parse(rotation?.at ?? '')).toBe(false);
      }),
    );
  });
});
