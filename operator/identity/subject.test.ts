import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dictatedSubject, opensslSubject } from './subject.ts';

describe('dictatedSubject', () => {
  it('is O=hedgerow, OU=<segment>.<ns>, CN=<device>.<ns>', () => {
    const subject = dictatedSubject({ name: 'thermo-17', namespace: 'berlin', segment: 'office-sensors' });
    expect(subject && opensslSubject(subject)).toBe('/O=hedgerow/OU=office-sensors.berlin/CN=thermo-17.berlin');
  });

  it.each(['', 'a'.repeat(63), 'a+b', 'a#', 'a/b', 'a,b', 'A', 'a.b', '-a', 'a-', 'a b', 'ä', 'a\n', 'a'.repeat(64)])(
    'refuses the name %j anywhere',
    (bad) => {
      expect(dictatedSubject({ name: bad, namespace: 'berlin', segment: 's' })).toBeUndefined();
      expect(dictatedSubject({ name: 'd', namespace: bad, segment: 's' })).toBeUndefined();
      expect(dictatedSubject({ name: 'd', namespace: 'berlin', segment: bad })).toBeUndefined();
    },
  );

  it('takes 64 characters and not 65 (X.520 ub-common-name)', () => {
    expect(dictatedSubject({ name: 'd'.repeat(57), namespace: 'berlin', segment: 's' })).toBeDefined();
    expect(dictatedSubject({ name: 'd'.repeat(58), namespace: 'berlin', segment: 's' })).toBeUndefined();
    expect(dictatedSubject({ name: 'd', namespace: 'berlin', segment: 's'.repeat(58) })).toBeUndefined();
  });

  it('never makes a subject with a character that means something to a topic filter, a distinguished name or a shell', () => {
    const anything = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.stringMatching(/^[a-z0-9-]{1,12}$/));
    fc.assert(
      fc.property(anything, anything, anything, (name, namespace, segment) => {
        const subject = dictatedSubject({ name, namespace, segment });
        if (subject !== undefined)
          expect(opensslSubject(subject)).toMatch(/^\/O=hedgerow\/OU=[a-z0-9-]+\.[a-z0-9-]+\/CN=[a-z0-9-]+\.[a-z0-9-]+$/);
      }),
    );
  }, 60_000);
});
