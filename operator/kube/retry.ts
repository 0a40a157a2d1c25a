// When a failed call is made again, and how long it waits: a pure function of the failure.
import type { KubeError } from './errors.ts';

const MAX_TRIES = 6;
const FIRST_DELAY_MS = 100;
const NETWORK_TRIES = 3;

/**
 * ms to wait before try number `tries + 1`, or `undefined` to give up.
 * 429 is always retried, 5xx only when the server names a time (as client-go does: a bare 500 may have been carried out).
 * A lost connection is retried for GET only, for the same reason. The server's time is a minimum: up to half of it is added, so that clients do not return in step.
 */
export function retryDelayMs(error: KubeError, method: string, tries: number, random: () => number): number | undefined {
  if (error.status === 0) {
    if (method !== 'GET' || error.reason !== 'NetworkError' || tries >= NETWORK_TRIES) return undefined;
    return FIRST_DELAY_MS * 2 ** (tries - 1) * random();
  }
  const retriable = error.status === 429 || (error.status >= 500 && error.retryAfterMs !== undefined);
  if (!retriable || tries >= MAX_TRIES) return undefined;
  const least = error.retryAfterMs ?? FIRST_DELAY_MS * 2 ** (tries - 1);
  return least * (1 + 0.5 * random());
}
