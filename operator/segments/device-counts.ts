// How many Devices name each segment.
import type { Key } from '../kube/object.ts';
import { keyOfRef } from '../kube/object.ts';
import type { Change } from '../kube/store.ts';

export type DeviceOfSegment = { namespace: string; segment: string };

export type DeviceCounts = {
  of(segment: Key): number;
  changed(change: Change<DeviceOfSegment>): void;
};

/** `onChange` gets a segment whenever its number changed. */
export function createDeviceCounts(onChange: (segment: Key) => void): DeviceCounts {
  const counts = new Map<Key, number>();
  const add = (device: DeviceOfSegment, by: 1 | -1): void => {
    const segment = keyOfRef({ namespace: device.namespace, name: device.segment });
    const count = (counts.get(segment) ?? 0) + by;
    if (count === 0) counts.delete(segment);
    else counts.set(segment, count);
    onChange(segment);
  };
  return {
    of: (segment) => counts.get(segment) ?? 0,
    changed({ before, after }) {
      if (before?.segment === after?.segment && before?.namespace === after?.namespace) return;
      if (before !== undefined) add(before, -1);
      if (after !== undefined) add(after, 1);
    },
  };
}
