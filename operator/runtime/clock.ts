// The only place that reads the time or sets a timer.
import type { Clock as KubeClock } from '../kube/ports.ts';

export type Clock = KubeClock;

/** setTimeout takes a signed 32-bit number of ms (24.8 days) and fires at once for more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  setTimer: (afterMs, fn) => {
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      handle =
        leftMs > LONGEST_TIMER_MS
          ? setTimeout(() => arm(leftMs - LONGEST_TIMER_MS), LONGEST_TIMER_MS)
          : setTimeout(fn, Math.max(0, leftMs));
    };
    arm(afterMs);
    return { cancel: () => clearTimeout(handle) };
  },
  sleep(ms, signal) {
    return sleepOn(this, ms, signal);
  },
};

type Timer = { at: number; sequence: number; fn: () => void };

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  #wall: number;
  #elapsed = 0;
  #sequence = 0;
  #timers: Timer[] = [];

  constructor(startMs: number = Date.parse('2026-01-01T00:00:00Z')) {
    this.#wall = startMs;
  }

  now(): number {
    return this.#wall;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  setTimer(afterMs: number, fn: () => void): { cancel(): void } {
    const timer: Timer = { at: this.#elapsed + Math.max(0, afterMs), sequence: this.#sequence++, fn };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepOn(this, ms, signal);
  }

  /** Moves both clocks, fires what is due in order, and lets promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#elapsed + ms;
    await settle();
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.at > end) break;
      this.#moveTo(next.at);
      this.#timers = this.#timers.filter((other) => other !== next);
      next.fn();
      await settle();
    }
    this.#moveTo(end);
    await settle();
  }

  /** The wall clock jumps (NTP, a suspended laptop); timers and `elapsed` do not notice. */
  jumpWall(ms: number): void {
    this.#wall += ms;
  }

  get pendingTimers(): number {
    return this.#timers.length;
  }

  #earliest(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (first === undefined || timer.at < first.at || (timer.at === first.at && timer.sequence < first.sequence)) first = timer;
    }
    return first;
  }

  #moveTo(elapsed: number): void {
    this.#wall += elapsed - this.#elapsed;
    this.#elapsed = elapsed;
  }
}

function sleepOn(clock: Pick<Clock, 'setTimer'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.setTimer(ms, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Enough turns of the event loop for a chain of promises and of setImmediate to come to rest. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}
