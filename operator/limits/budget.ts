// How many devices may go to quarantine without a person: a mistake in a limit, or in a firmware, must not shut a site. Pure.

/** A quarantine that was made without a person. `segment`: `<namespace>/<segment>` of the device, undefined when it is gone. */
export type Made = { device: string; segment: string | undefined; atMs: number };

export type BudgetInput = {
  nowMs: number;
  made: readonly Made[];
  /** `<namespace>/<segment>` of the device that it is asked for. */
  segment: string;
  devicesOfSegment: number;
  devicesOfFleet: number;
};

export const WINDOW_MS = 3_600_000;
/** Of a segment one device in ten within the window, of the fleet one in twenty; one at least, or a small site would have no answer at all. */
const OF_SEGMENT = 10;
const OF_FLEET = 20;

export type Spent = 'segment' | 'fleet';

/** Undefined when one more may be made. */
export function spent({ nowMs, made, segment, devicesOfSegment, devicesOfFleet }: BudgetInput): Spent | undefined {
  const lately = made.filter(({ atMs }) => nowMs - atMs < WINDOW_MS);
  if (lately.filter((one) => one.segment === segment).length >= atMost(devicesOfSegment, OF_SEGMENT)) return 'segment';
  return lately.length >= atMost(devicesOfFleet, OF_FLEET) ? 'fleet' : undefined;
}

const atMost = (devices: number, oneIn: number): number => Math.max(1, Math.floor(devices / oneIn));
