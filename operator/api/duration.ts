// Durations as the schemas allow them: Go's format in whole hours, minutes and seconds (`720h`, `1h30m`).

/** Milliseconds of a duration, or undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const match = /^(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?$/.exec(text);
  if (match === null || text === '') return undefined;
  const [hours, minutes, seconds] = [match[1], match[2], match[3]].map((part) => Number(part ?? 0));
  return (((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
}

/** How long a Device's certificates are asked for and how long before their end they are renewed: `renewBefore` is a third of `duration` unless it is given. */
export function certificateLifetime(identity: { duration?: string; renewBefore?: string } | undefined): {
  durationMs: number;
  renewBeforeMs: number;
} {
  const lifetimeMs = durationMs(identity?.duration ?? DEFAULT_DURATION) ?? DEFAULT_DURATION_MS;
  const renewBeforeMs = identity?.renewBefore === undefined ? undefined : durationMs(identity.renewBefore);
  return { durationMs: lifetimeMs, renewBeforeMs: renewBeforeMs ?? Math.floor(lifetimeMs / 3) };
}

export const DEFAULT_DURATION = '720h';
const DEFAULT_DURATION_MS = 720 * 3_600_000;
