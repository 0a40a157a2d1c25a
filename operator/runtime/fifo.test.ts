import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFifo } from './fifo.ts';

describe('the fifo', () => {
  it('drops what is not valid on the way to what is', () => {
    const fifo = createFifo<number>();
    for (const item of [1, 2, 3, 4]) fifo.push(item);
    expect(fifo.shiftWhere((item) => item > 2)).toBe(3);
    expect(fifo.shiftWhere(() => true)).toBe(4);
    expect(fifo.shiftWhere(() => true)).toBeUndefined();
  });

  it('goes on after it ran empty', () => {
    const fifo = createFifo<number>();
    fifo.push(1);
    expect(fifo.shiftWhere(() => false)).toBeUndefined();
    fifo.push(2);
    expect(fifo.shiftWhere(() => true)).toBe(2);
  });

  it('keeps the order of thousands while its head is cut off', () => {
    const fifo = createFifo<number>();
    for (let i = 0; i < 5000; i++) fifo.push(i);
    for (let i = 0; i < 5000; i++) expect(fifo.shiftWhere(() => true)).toBe(i);
  });

  it('behaves like an array, also across its compactions', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 400 }) }) },
      { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 400 }), modulus: fc.integer({ min: 1, max: 4 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const fifo = createFifo<number>();
        const model: number[] = [];
        let pushed = 0;
        for (const s of steps) {
          for (let i = 0; 'push' in s && i < s.push; i++) {
            model.push(pushed);
            fifo.push(pushed++);
          }
          for (let i = 0; 'take' in s && i < s.take; i++) {
            const at = model.findIndex((item) => item % s.modulus === 0);
            const expected = model[at];
            model.splice(0, at < 0 ? model.length : at + 1);
            expect(fifo.shiftWhere((item) => item % s.modulus === 0)).toBe(expected);
          }
        }
      }),
    );
  });
});
