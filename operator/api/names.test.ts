import fc from 'fast-check';
import { expect, it } from 'vitest';
import { deviceName, LABEL_PATTERN, MAX_LABEL, segmentName } from './names.ts';

const label = new RegExp(LABEL_PATTERN);

it.each(['a', 'a-b', '0', 'x'.repeat(MAX_LABEL), 'thermo-17', 'a--b'])('%s is a name', (name) => expect(name).toMatch(label));

it.each(['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a b', 'a/b', '+', '#', 'a\n', 'ä', 'x'.repeat(MAX_LABEL + 1)])('%j is none', (name) =>
  expect(name).not.toMatch(label),
);

it('names on the wire never meet: two names and namespaces that differ give two wire names', () => {
  const names = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?$/);
  fc.assert(
    fc.property(names, names, names, names, (device, namespace, device2, namespace2) => {
      fc.pre(device !== device2 || namespace !== namespace2);
      expect(deviceName(device, namespace)).not.toBe(deviceName(device2, namespace2));
      expect(segmentName(device, namespace)).not.toBe(segmentName(device2, namespace2));
    }),
  );
});
