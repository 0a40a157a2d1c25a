import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDelayHeap } from './delay-heap.ts';

describe('the delay heap', () => {
  it('has nothing on top when it is empty', () => {
    const heap = createDelayHeap<string>();
    expect(heap.peek()).toBeUndefined();
    expect(heap.pop()).toBeUndefined();
  });

  it('gives of two that are due at the same moment the one that came first', () => {
    const heap = createDelayHeap<string>();
    for (const item of ['a', 'b', 'c', 'd']) heap.push(7, item);
    expect(['a', 'b', 'c', 'd'].map(() => heap.pop()?.item)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('behaves like a sorted list, whatever is pushed and popped in whatever order', () => {
    const step = fc.oneof({ weight: 3, arbitrary: fc.record({ push: fc.nat(20) }) }, { weight: 2, arbitrary: fc.constant('pop' as const) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = createDelayHeap<number>();
        const model: { at: number; item: number }[] = [];
        let pushed = 0;
        for (const s of steps) {
          if (s === 'pop') {
            const first = model.shift();
            expect(heap.pop()).toEqual(first === undefined ? undefined : { ...first, sequence: first.item });
          } else {
            const item = pushed++;
            heap.push(s.push, item);
            // After all that are due earlier or at the same moment.
            const after = model.findLastIndex((due) => due.at <= s.push);
            model.splice(after + 1, 0, { at: s.push, item });
          }
          expect(heap.peek()?.item).toBe(model[0]?.item);
        }
      }),
    );
  });
});
