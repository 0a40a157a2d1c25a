// One window of one value of one group. What has left is of at least k devices and is never taken apart again: its difference to what leaves later is of at least
// k devices too, or it does not leave (docs/adr/0038-egress.md). What has not left yet is kept apart for each device, so that an erased one can be taken out.
import { type Aggregate, emptyAggregate, include, mergedAggregate, readAggregate, writeAggregate } from '../window/aggregate.ts';

export type GroupWindow = {
  fromMs: number;
  toMs: number;
  /** Another one for each window that was ever opened: what is given out of two windows of the same time has no reading in common. */
  serial: number;
  /** By the age of the state: when it is given out; when what came late is. */
  dueMs: number;
  goneMs: number;
  isDue: boolean;
  sent: Aggregate | undefined;
  /** Of `sent`. */
  devices: Set<string>;
  pending: Map<string, Aggregate>;
};

/** Revision 0, or 1 with all that came late. */
export type Given = { revision: number; devices: number; aggregate: Aggregate };

/** The aggregate of a device that has none there yet counts against what it may have at once. */
export const isNewFor = (window: GroupWindow, device: string): boolean => !window.pending.has(device);

/** Changes it. */
export function put(window: GroupWindow, device: string, ms: number, value: number): void {
  let own = window.pending.get(device);
  if (own === undefined) {
    own = emptyAggregate();
    window.pending.set(device, own);
  }
  include(own, ms, value);
}

/** What may leave of what has not left yet; of fewer than `least` devices nothing. Changes it. */
export function give(window: GroupWindow, least: number): Given | undefined {
  // A device that sent nothing but what is no measure is not one of the group.
  const measured = [...window.pending].filter(([, { count }]) => count > 0);
  if (measured.length === 0 || measured.length < least) return undefined;
  const revision = window.sent === undefined ? 0 : 1;
  let whole = window.sent ?? emptyAggregate();
  for (const [device, one] of measured) {
    whole = mergedAggregate(whole, one);
    window.devices.add(device);
  }
  window.sent = whole;
  window.pending = new Map();
  return { revision, devices: window.devices.size, aggregate: whole };
}

export type WindowLine = readonly [
  times: readonly [fromMs: number, toMs: number, serial: number, dueMs: number, goneMs: number],
  isDue: boolean,
  sent: string,
  devices: string[],
  pending: [string, string][],
];

const text = (one: Aggregate): string => writeAggregate(one).toString('base64');
const aggregate = (base64: string): Aggregate => readAggregate(Buffer.from(base64, 'base64'));

export const writeWindow = (of: GroupWindow): WindowLine => [
  [of.fromMs, of.toMs, of.serial, of.dueMs, of.goneMs],
  of.isDue,
  of.sent === undefined ? '' : text(of.sent),
  [...of.devices],
  [...of.pending].map(([device, one]) => [device, text(one)]),
];

export function readWindow([[fromMs, toMs, serial, dueMs, goneMs], isDue, sent, devices, pending]: WindowLine): GroupWindow {
  return {
    ...{ fromMs, toMs, serial, dueMs, goneMs, isDue, sent: sent === '' ? undefined : aggregate(sent), devices: new Set(devices) },
    pending: new Map(pending.map(([device, base64]) => [device, aggregate(base64)])),
  };
}
