// The watches of one server fail together, and each waits out a back-off of its own, up to 30 s. The first that works again says so to the others: a server that was
// restarted is followed by all of them at once, and one that stays away is still asked seldom. Promise 3 counts seconds also after a restart of the API server.
import type { Clock } from './ports.ts';

export interface Revival {
  /** Ends after `ms`, when the signal aborts, or when another watch works again. */
  wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void>;
  /** A watch that had failed works. */
  works(clock: Clock): void;
}

/** A server that answers each of them once and fails at once again must not make them chase each other. */
const GAP_MS = 1000;

const known = new WeakMap<object, Revival>();

/** One for all reflectors of a client. */
export function revivalOf(client: object): Revival {
  const revival = known.get(client) ?? createRevival();
  known.set(client, revival);
  return revival;
}

function createRevival(): Revival {
  const waiting = new Set<AbortController>();
  let toldAt = Number.NEGATIVE_INFINITY;
  let later = false;

  function tell(clock: Clock): void {
    later = false;
    toldAt = clock.elapsed();
    for (const over of [...waiting]) over.abort();
  }

  return {
    async wait(clock, ms, signal) {
      const over = new AbortController();
      const stop = (): void => over.abort();
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop, { once: true });
      waiting.add(over);
      await clock.sleep(ms, over.signal).catch(() => undefined);
      waiting.delete(over);
      signal.removeEventListener('abort', stop);
    },
    works(clock) {
      if (later) return;
      const leftMs = toldAt + GAP_MS - clock.elapsed();
      later = leftMs > 0;
      if (later) clock.setTimer(leftMs, () => tell(clock));
      else tell(clock);
    },
  };
}
