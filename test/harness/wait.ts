// Waiting for a state of the world, with a deadline and a message that says what was seen last.

/** Polls `look` until it gives a value other than undefined. Throws with `what` and the last error or `describe()` when the deadline passes. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  options: { timeoutMs?: number; everyMs?: number; describe?: () => string } = {},
): Promise<T> {
  const deadline = performance.now() + (options.timeoutMs ?? 30_000);
  let last = '';
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() > deadline)
      throw new Error(`waited ${(options.timeoutMs ?? 30_000) / 1000} s for ${what}; ${options.describe?.() ?? last}`);
    await pause(options.everyMs ?? 100);
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
