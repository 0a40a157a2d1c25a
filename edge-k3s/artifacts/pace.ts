// Who moves too few bytes holds a place that others want: a registry that drips, a device that reads a byte a minute.
import type { Clock } from '../../operator/runtime/clock.ts';

export type Pace = { everyMs: number; leastBytes: number };

/** Calls `tooSlow` once when fewer than `leastBytes` have moved in one of the times of `everyMs`. `moved`: all bytes so far. */
export function watchPace(
  clock: Pick<Clock, 'setTimer'>,
  { everyMs, leastBytes }: Pace,
  moved: () => number,
  tooSlow: () => void,
): { cancel(): void } {
  let before = moved();
  let timer = clock.setTimer(everyMs, look);
  function look(): void {
    const now = moved();
    const enough = now - before >= leastBytes;
    before = now;
    if (enough) timer = clock.setTimer(everyMs, look);
    else tooSlow();
  }
  return { cancel: () => timer.cancel() };
}
