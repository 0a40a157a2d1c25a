// Shares and numbers as a FirmwareRelease writes them. Pure.

/** `98%` as 0.98, the double nearest to the decimal. */
export const share = (percent: string): number => hundredths(percent) / 10_000;

/** `98%` as 0.02, again the nearest double and not the difference of two. */
export const restOf = (percent: string): number => (10_000 - hundredths(percent)) / 10_000;

/** Shares have two decimals at most. */
const hundredths = (percent: string): number => Math.round(Number(percent.slice(0, -1)) * 100);

/** How many of `all` a size such as "5" or "1%" is: a share is rounded up, and is one device at least, where there is any. */
export function sizeOf(size: string | undefined, all: number): number {
  if (size === undefined) return all;
  if (!size.endsWith('%')) return Math.min(Number(size), all);
  return Math.min(all, Math.max(1, Math.ceil((hundredths(size) * all) / 10_000)));
}

/** A share to two digits that matter, never rounded to a bound that was not reached: 0.29%, 2.9%, 100%. */
export function percentText(value: number): string {
  const percent = value * 100;
  if (percent === 0 || percent >= 99.95) return percent === 0 ? '0%' : value === 1 ? '100%' : '>99.9%';
  return `${Number(percent.toPrecision(percent < 1 ? 2 : 3))}%`;
}
