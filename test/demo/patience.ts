// How long the demo waits for what must come: far above what it takes, so that a slow machine is no failure. What was measured is printed.
import { waitFor } from '../harness/wait.ts';

const PATIENCE_MS = 90_000;

export function patiently<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  options: { everyMs?: number; describe?: () => string } = {},
): Promise<T> {
  return waitFor(what, look, { timeoutMs: PATIENCE_MS, ...options });
}
