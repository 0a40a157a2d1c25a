// What was heard and stands in no record yet. Nothing is kept of a device whose record says what it says: 10,000 hellos after a restart of the broker are 10,000 comparisons.
import type { DeviceStatus } from '../api/device.ts';
import type { Key } from '../kube/object.ts';
import { type FirmwareRecord, isSame, type Running, recordWith } from './record.ts';

export type Records = NonNullable<DeviceStatus['firmware']>;
/** What is to be written of a device now, and when to look again for the rest. */
export type Due = { records: Records; changed: readonly string[]; againMs: number | undefined };

/** A device that starts twice in a minute has not come to rest. */
export const SETTLE_MS = 60_000;
/** Without a word of it for so long, a directive is at work no more. */
const BUSY_MS = 24 * 3_600_000;

type Heard = { running: Running; sinceMs: number };
type OfDevice = { heard: Map<string, Heard>; busyAt: Map<string, number> };

export type Hearing = {
  /** A hello: all components of the device. Whether something of it is new. */
  hello(device: Key, components: readonly (Running & { component: string })[], records: Records | undefined, nowMs: number): boolean;
  /**
   * A state: whether a directive for this component is at work on the device, so that its driver writes the record. When it has ended, the driver has a minute to do so.
   * Gives whether there is something to look at then.
   */
  atWork(device: Key, component: string, isAtWork: boolean, nowMs: number): boolean;
  due(device: Key, records: Records | undefined, nowMs: number): Due;
  forget(device: Key): void;
  readonly size: number;
};

/** Times are those of the wall: they are compared with those in records. */
export function createHearing(settleMs = SETTLE_MS): Hearing {
  const devices = new Map<Key, OfDevice>();
  const of = (device: Key): OfDevice => {
    const known = devices.get(device) ?? { heard: new Map<string, Heard>(), busyAt: new Map<string, number>() };
    devices.set(device, known);
    return known;
  };
  const tidy = (device: Key, { heard, busyAt }: OfDevice): void => {
    if (heard.size === 0 && busyAt.size === 0) devices.delete(device);
  };

  return {
    hello(device, components, records, nowMs) {
      const one = of(device);
      const before = one.heard;
      one.heard = new Map();
      for (const { component, version, digest, securityCounter } of components) {
        const running = { version, digest, securityCounter };
        if (isSame(records?.[component], running)) continue;
        const known = before.get(component);
        const goesOn = known !== undefined && isSame(known.running, running);
        one.heard.set(component, goesOn ? known : { running, sinceMs: nowMs });
      }
      tidy(device, one);
      return one.heard.size > 0;
    },
    atWork(device, component, isAtWork, nowMs) {
      const one = of(device);
      const hasEnded = !isAtWork && one.busyAt.delete(component);
      if (isAtWork) one.busyAt.set(component, nowMs);
      const heard = hasEnded ? one.heard.get(component) : undefined;
      if (heard !== undefined) one.heard.set(component, { ...heard, sinceMs: nowMs });
      tidy(device, one);
      return heard !== undefined;
    },
    due(device, records, nowMs) {
      const one = devices.get(device);
      const due: { records: Records; changed: string[]; againMs: number | undefined } = {
        records: { ...records },
        changed: [],
        againMs: undefined,
      };
      for (const [component, { running, sinceMs }] of one?.heard ?? []) {
        const record = records?.[component];
        if (isSame(record, running)) {
          one?.heard.delete(component);
          continue;
        }
        const waitMs = Math.max(sinceMs + settleMs, busyUntil(one?.busyAt.get(component), record)) - nowMs;
        if (waitMs > 0) due.againMs = Math.min(due.againMs ?? Number.POSITIVE_INFINITY, waitMs);
        else {
          due.records[component] = recordWith(record, running, new Date(nowMs).toISOString());
          due.changed.push(component);
        }
      }
      if (one !== undefined) tidy(device, one);
      return due;
    },
    forget: (device) => void devices.delete(device),
    get size() {
      return devices.size;
    },
  };
}

/** When a directive was last seen at work; a record that a driver ended since then ends that too. */
function busyUntil(busyAt: number | undefined, record: FirmwareRecord | undefined): number {
  if (busyAt === undefined || Date.parse(record?.endedAt ?? '') >= busyAt) return 0;
  return busyAt + BUSY_MS;
}
