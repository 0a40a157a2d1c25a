import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readings } from './office.ts';

it('the same device and tick always give the same readings', () => {
  expect(readings(3, 700)).toEqual(readings(3, 700));
  expect(readings(3, 700)).not.toEqual(readings(4, 700));
});

it('every reading is physically possible', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.nat(100_000), (seed, tick) => {
      const [temperature, occupancy, air] = readings(seed, tick);
      expect(temperature?.m.celsius).toBeGreaterThan(10);
      expect(temperature?.m.celsius).toBeLessThan(35);
      expect(occupancy?.m.persons).toBeGreaterThanOrEqual(0);
      expect(air?.m.co2).toBeGreaterThan(350);
    }),
  );
});
