// Whether the broker answers, and how long to leave it alone when it does not.
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { BrokerCode } from './errors.ts';
import { BrokerError, OneFailed } from './rest.ts';

/** EMQX is back about 4 s after its start (restart.json); what it forgot must be repaired within seconds of that, so the wait stays short. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2000;
/** A restart of a few seconds is repaired before anybody reads a condition; writing it on every Device twice would be noise (promise 10). */
const GRACE_MS = 5000;

export function createReach(deps: { clock: Clock; random: Random }) {
  let failures = 0;
  let failingSince: number | undefined;
  /** Changes only when a call has ended, and whoever reported that end tells everybody: a reading in between must not differ from what was told. */
  let said: BrokerCode | undefined;
  let quietUntil = 0;

  return {
    succeeded(): void {
      failures = 0;
      failingSince = undefined;
      said = undefined;
      quietUntil = 0;
    },
    /** The ms to wait: doubling with jitter, so that several operators do not come back in step. */
    failed(error: unknown): number {
      if (!(error instanceof OneFailed)) {
        const now = deps.clock.elapsed();
        failingSince ??= now;
        if (now - failingSince >= GRACE_MS) said = error instanceof BrokerError ? error.code : 'HR-BRK-005';
      }
      const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures++, 10));
      const waitMs = most * (0.5 + 0.5 * deps.random());
      quietUntil = deps.clock.elapsed() + waitMs;
      return waitMs;
    },
    /** ms for which nothing should be asked, 0 when all is well. */
    quietMs: (): number => Math.max(0, quietUntil - deps.clock.elapsed()),
    /** Why nothing can be known, once it has lasted. */
    unreachable: (): BrokerCode | undefined => said,
  };
}
