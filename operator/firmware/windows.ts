// Maintenance windows: whether one is open, and until when that holds. Pure.
import { Cron } from 'croner';
import { durationMs } from '../api/duration.ts';
import type { FirmwareReleaseSpec } from '../api/firmware-release.ts';

export type Window = NonNullable<NonNullable<FirmwareReleaseSpec['rollout']['windows']>['install']>[number];

/** `until`: when to ask again, in ms since 1970; undefined where it never changes. */
export type WindowState = { open: boolean; until: number | undefined };

/** In this time zone the device itself keeps the window: only it knows what time it is there. */
const DEVICE_ZONE = 'Device';

/**
 * Without windows it is always open. A window begins where its cron fires in its time zone: a time that the clocks jump over in spring begins at the end of the jump, one
 * that comes twice in autumn begins the first time. Its length is real time. A window that `windowFault` would name never opens.
 */
export function windowAt(windows: readonly Window[] | undefined, now: number): WindowState {
  if (windows === undefined || windows.length === 0 || windows.some(({ tz }) => tz === DEVICE_ZONE))
    return { open: true, until: undefined };
  const spans = windows.flatMap((window) => spanAt(window, now) ?? []);
  const open = spans.filter(({ from }) => from <= now);
  if (open.length > 0) return { open: true, until: Math.max(...open.map(({ to }) => to)) };
  return { open: false, until: spans.length === 0 ? undefined : Math.min(...spans.map(({ from }) => from)) };
}

/** What is wrong with a window that its pattern in the schema cannot see, or undefined. */
export function windowFault({ cron, duration, tz }: Window): string | undefined {
  if ((durationMs(duration) ?? 0) === 0) return `duration ${duration}: the window would never be open`;
  const zone = tz === DEVICE_ZONE ? 'UTC' : tz;
  if (firesAfter(cron, zone, 0) !== undefined) return undefined;
  return firesAfter(cron, 'UTC', 0) === undefined ? `cron "${cron}" never fires` : `there is no time zone ${tz}`;
}

/** The span that is open now, the one that lasts longest; else the next one. */
function spanAt({ cron, duration, tz }: Window, now: number): { from: number; to: number } | undefined {
  const length = durationMs(duration) ?? 0;
  let from = length === 0 ? undefined : firesAfter(cron, tz, now - length);
  if (from === undefined) return undefined;
  // A window that fires again before it has closed stays open.
  for (let next = firesAfter(cron, tz, from); next !== undefined && next <= now; next = firesAfter(cron, tz, next)) from = next;
  return { from, to: from + length };
}

/** The first time strictly after `time` at which a cron fires; undefined when it never does, or is none. */
function firesAfter(cron: string, timezone: string, time: number): number | undefined {
  // A cron fires at whole minutes; croner, asked for a time within a second, rounds it up.
  const second = Math.floor(time / 1000) * 1000;
  try {
    return new Cron(cron, { timezone, mode: '5-part', paused: true }).nextRun(new Date(second))?.getTime();
  } catch {
    return undefined;
  }
}
