// How old the state is, by a clock that neither jumps nor goes on while the gateway does not run: what waits in it waits by this.
import type { Tick } from '../core/event.ts';

export type Age = {
  now(): number;
  tick(tick: Tick): void;
  snapshot(): string;
  restore(text: string): void;
};

export function createAge(): Age {
  let [age, last] = [0, 0];
  return {
    now: () => age,
    tick({ elapsedMs }) {
      // Less than before: another process, whose clock has another beginning.
      if (elapsedMs > last && last > 0) age += elapsedMs - last;
      last = elapsedMs;
    },
    snapshot: () => `${age} ${last}`,
    restore(text) {
      const [first = 0, second = 0] = text.split(' ').map(Number);
      [age, last] = [first, second];
    },
  };
}
