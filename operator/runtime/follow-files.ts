// Files that somebody replaces while a process runs, as a kubelet does with those of a Secret or ConfigMap.
import type { Clock } from './clock.ts';

export type Followed<T> = {
  read(): Promise<T>;
  isSame(one: T, other: T): boolean;
  /** Not in force while it throws. */
  onNew(content: T): void;
  /** They do not read, or are not taken: the last good ones stay in force. What it throws ends the following. */
  onTrouble(error: unknown): void;
};

const LOOK_EVERY_MS = 10_000;

/** Looks until the signal aborts, and tells of what is new. */
export async function followFiles<T>(
  first: T,
  { read, isSame, onNew, onTrouble }: Followed<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let last = first;
  while (!signal.aborted) {
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const now = await read();
      if (isSame(now, last)) continue;
      onNew(now);
      last = now;
    } catch (error) {
      onTrouble(error);
    }
  }
}
