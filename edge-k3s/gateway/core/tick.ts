// Time is an event as the others are: each second, until the signal aborts. Every few minutes the journal begins anew.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Core } from './core.ts';
import type { Tick } from './event.ts';

const TICK_MS = 1_000;

/** What the spool got since is not merged before. */
const SNAPSHOT_EVERY_MS = 240_000;

export type Ticking = {
  core: Core;
  /** Resolves when the event is on disk. */
  append(event: Tick): Promise<void>;
  snapshot(): Promise<void>;
  /** The spool would rather have one now. */
  isPressed(): boolean;
  clock: Clock;
};

export async function tick({ core, append, snapshot, isPressed, clock }: Ticking, signal: AbortSignal): Promise<void> {
  // Goes on where the process before was.
  const offsetMs = core.elapsedMs - clock.elapsed();
  // Also soon after the start: till then the spool merges nothing at all.
  let snapshotAtMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    await clock.sleep(TICK_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    const event = { kind: 'tick', nowMs: clock.now(), elapsedMs: clock.elapsed() + offsetMs } as const;
    core.offer(event);
    await append(event);
    if (clock.elapsed() - snapshotAtMs < SNAPSHOT_EVERY_MS && !isPressed()) continue;
    snapshotAtMs = clock.elapsed();
    await snapshot();
  }
}
