// Time of a virtual world: what is due when, and nothing else moves it on.
import { createDelayHeap } from '../../../operator/runtime/delay-heap.ts';

export type World = {
  now(): number;
  after(ms: number, act: () => void): void;
  /** Everything that is due until then, in its order. */
  runUntil(at: number): void;
};

export function createWorld(startAt: number): World {
  const heap = createDelayHeap<() => void>();
  let now = startAt;
  return {
    now: () => now,
    after: (ms, act) => heap.push(now + Math.max(0, ms), act),
    runUntil(at) {
      for (let next = heap.peek(); next !== undefined && next.at <= at; next = heap.peek()) {
        heap.pop();
        now = next.at;
        next.item();
      }
      now = at;
    },
  };
}
