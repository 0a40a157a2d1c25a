// Spans of a FirmwareRelease: days, hours, minutes and seconds. Pure.
import { durationMs } from '../api/duration.ts';

const DAY_MS = 86_400_000;

/** Milliseconds of `7d`, `1d12h` or `10m`, as the schema allows them. Throws for anything else: it did not come through the schema. */
export function spanMs(span: string): number {
  const [, days = '0', rest = ''] = /^(?:([0-9]{1,4})d)?(.*)$/.exec(span) ?? [];
  const below = rest === '' ? 0 : durationMs(rest);
  if (span === '' || below === undefined) throw new Error(`${span} is no span of time`);
  return Number(days) * DAY_MS + below;
}

/** As a person would say it, in two units at most: `2d 4h`, `35m`. */
export function spanText(ms: number): string {
  const units: [unit: string, ms: number][] = [
    ['d', DAY_MS],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ];
  const first = units.findIndex(([, size]) => ms >= size);
  if (first === -1) return '0s';
  let left = ms;
  const parts = units.slice(first, first + 2).map(([unit, size]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count === 0 ? '' : `${count}${unit}`;
  });
  return parts.filter((part) => part !== '').join(' ');
}
