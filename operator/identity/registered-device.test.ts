import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { deviceKind } from '../api/device.ts';
import { LABEL_PATTERN, MAX_WIRE_NAME } from '../api/names.ts';
import { specProblems } from '../api/validate.ts';
import { proposedManifest, registeredDevice, registeredName } from './registered-device.ts';

// On a machine that has other things to do.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const CA = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);
const KEY = 'c'.repeat(64);
const serialOf = fc
  .tuple(fc.stringMatching(/^[A-Za-z0-9]$/), fc.stringMatching(/^[A-Za-z0-9 ._:/+-]{0,62}$/), fc.stringMatching(/^[A-Za-z0-9]$/))
  .map((parts) => parts.join(''));

describe('the name of a Device that makes itself', () => {
  it('is the serial number as people can read it, and a hash', () => {
    expect(registeredName({ ca: CA, serial: 'TMP-2/00017' }, 'berlin')).toMatch(/^tmp-2-00017-[a-z2-7]{10}$/);
  });

  it('is the same at every time and in every process', () => {
    expect(registeredName({ ca: CA, serial: 'A1B2' }, 'berlin')).toBe('a1b2-z3fxjxjeld');
  });

  it.each([
    ['another maker', { ca: OTHER, serial: 'A1B2' }],
    ['another case', { ca: CA, serial: 'a1b2' }],
    ['another character between', { ca: CA, serial: 'A1-B2' }],
  ])('is another one for %s', (_name, identity) => {
    expect(registeredName(identity, 'berlin')).not.toBe(registeredName({ ca: CA, serial: 'A1B2' }, 'berlin'));
  });

  it('of any serial number in any namespace is a label that fits into a certificate, or there is none', () => {
    fc.assert(
      fc.property(serialOf, fc.integer({ min: 1, max: 62 }), (serial, length) => {
        const namespace = 'n'.repeat(length);
        const name = registeredName({ ca: CA, serial }, namespace);
        // 64 for both with a dot, and eleven of hash and dash: below 52 there is room for a name.
        if (length < 52) expect(name).toBeDefined();
        if (name === undefined) return;
        expect(name).toMatch(new RegExp(LABEL_PATTERN));
        expect(`${name}.${namespace}`.length).toBeLessThanOrEqual(MAX_WIRE_NAME);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of two serial numbers is two', () => {
    fc.assert(
      fc.property(serialOf, serialOf, (a, b) => {
        fc.pre(a !== b);
        expect(registeredName({ ca: CA, serial: a }, 'berlin')).not.toBe(registeredName({ ca: CA, serial: b }, 'berlin'));
      }),
    );
  });
});

describe('its manifest', () => {
  const ref = { name: 'a1b2-x', namespace: 'berlin', segment: 'office' };
  it('is one that the API takes, whatever the serial number', () => {
    fc.assert(
      fc.property(serialOf, (serial) => {
        expect(specProblems(deviceKind, registeredDevice(ref, { ca: CA, serial, factoryKey: KEY }, 'uid-1').spec)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('says where it comes from, and which request it was made for', () => {
    expect(registeredDevice(ref, { ca: CA, serial: 'A1B2', factoryKey: KEY }, 'uid-1').metadata).toEqual({
      name: 'a1b2-x',
      namespace: 'berlin',
      labels: { 'hedgerow.dev/origin': 'jit' },
      annotations: {
        'hedgerow.dev/registered-by': 'office',
        'hedgerow.dev/manufacturer-ca': CA,
        'hedgerow.dev/factory-key': KEY,
        'hedgerow.dev/registration': 'uid-1',
      },
    });
  });

  it('that a person is asked to apply holds nothing that a shell would interpret within single quotes', () => {
    fc.assert(
      fc.property(serialOf, (serial) => {
        const text = proposedManifest(ref, { ca: CA, serial, factoryKey: KEY });
        expect(text).toMatch(/^[\x20-\x26\x28-\x7e]+$/);
        expect(specProblems(deviceKind, JSON.parse(text).spec)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
});
