// What a limit of a SegmentPolicy allows within a time: `10/s` is ten a second on the average of a minute, `100/h` a hundred in any hour. Pure.

export type Allowance = { count: number; unitMs: number; text: string };

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const FACTOR: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2 };

/** Devices send in bursts: what is allowed a second is looked at over a minute at least. */
export const LEAST_MS = 60_000;

/** Of a text that the schema accepts (`10/s`, `20KiB/m`); undefined of any other. */
export function allowanceOf(text: string): Allowance | undefined {
  const match = /^([0-9]{1,6})(KiB|MiB)?\/([smh])$/.exec(text);
  const unitMs = UNIT_MS[match?.[3] ?? ''];
  if (match === null || unitMs === undefined) return undefined;
  return { count: Number(match[1]) * (FACTOR[match[2] ?? ''] ?? 1), unitMs, text };
}

/** The time over which a limit is looked at. */
export const windowOf = ({ unitMs }: Allowance): number => Math.max(unitMs, LEAST_MS);

/** The most that may be sent within `spanMs`. */
export const allowedIn = (allowance: Allowance, spanMs: number): number =>
  (allowance.count * Math.max(spanMs, windowOf(allowance))) / allowance.unitMs;
