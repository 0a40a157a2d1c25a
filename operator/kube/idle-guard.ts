// Ends a watch that has gone silent: a half-open connection gives no error, it only says nothing for ever.
import type { Clock } from './ports.ts';

export interface IdleGuard extends Disposable {
  /** Aborts with the parent, or when the limit passes. */
  readonly signal: AbortSignal;
  /** True when it was the limit. */
  readonly fired: boolean;
}

/** `heardAt` is read when the timer is due, which then sleeps for what is left: no timer is touched for each event. */
export function createIdleGuard(clock: Clock, parent: AbortSignal, limitMs: number, heardAt: () => number): IdleGuard {
  const controller = new AbortController();
  const stop = (): void => controller.abort(parent.reason);
  if (parent.aborted) stop();
  parent.addEventListener('abort', stop, { once: true });
  let fired = false;
  let timer = clock.setTimer(limitMs, check);

  function check(): void {
    const leftMs = heardAt() + limitMs - clock.elapsed();
    if (leftMs > 0) {
      timer = clock.setTimer(leftMs, check);
      return;
    }
    fired = true;
    controller.abort(new Error(`nothing heard for ${Math.round(limitMs / 1000)} s`));
  }

  return {
    signal: controller.signal,
    get fired() {
      return fired;
    },
    [Symbol.dispose]() {
      timer.cancel();
      parent.removeEventListener('abort', stop);
      controller.abort(new Error('the watch is over'));
    },
  };
}
