// Only so many requests of this server at a time are made and not judged yet; the others wait in line without holding anything in the cluster. cert-manager's own
// approver tries every request that nobody has judged, and is refused, at most five times a second; what is made in haste waits there (operator/identity/turns.ts).
import type { Clock } from '../runtime/clock.ts';

export interface Line {
  /** Resolves when it is the caller's turn, to how one leaves again (any number of times); to undefined when the time was over first. Rejects when the signal aborts. */
  enter(mostMs: number, signal: AbortSignal): Promise<(() => void) | undefined>;
}

export function createLine(most: number, clock: Pick<Clock, 'setTimer'>): Line {
  const waiting = new Set<() => void>();
  let inside = 0;

  function turn(): () => void {
    inside += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      inside -= 1;
      const [next] = waiting;
      next?.();
    };
  }

  return {
    async enter(mostMs, signal) {
      signal.throwIfAborted();
      if (inside < most) return turn();
      const mine = Promise.withResolvers<(() => void) | undefined>();
      const called = (): void => end(() => mine.resolve(turn()));
      const timer = clock.setTimer(mostMs, () => end(() => mine.resolve(undefined)));
      const abort = (): void => end(() => mine.reject(signal.reason));
      function end(how: () => void): void {
        waiting.delete(called);
        timer.cancel();
        signal.removeEventListener('abort', abort);
        how();
      }
      waiting.add(called);
      signal.addEventListener('abort', abort, { once: true });
      return await mine.promise;
    },
  };
}
