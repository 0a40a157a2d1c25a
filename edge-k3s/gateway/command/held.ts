// Commands wait until the event that made them is on disk. Sent before, a command of an event that a crash undoes would be made again with another number, and done twice.
import type { Order } from '../rules/rules.ts';

export type Held = {
  order(one: Order): void;
  /** Those since the last call are of an event that `promise` says is on disk; when that fails they are not sent. */
  until(promise: Promise<void>): void;
};

export function holdOrders(send: (one: Order) => void): Held {
  let held: Order[] = [];
  return {
    order: (one) => void held.push(one),
    until(promise) {
      // Nearly every event makes none.
      if (held.length === 0) return;
      const mine = held;
      held = [];
      promise.then(
        () => {
          for (const one of mine) send(one);
        },
        // Whoever wrote it ends the process.
        () => undefined,
      );
    },
  };
}
