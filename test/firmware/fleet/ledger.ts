// The bookkeeper: it knows what each device really runs, and judges what the drivers have written by that alone.
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import type { VirtualDevice } from './device.ts';
import { FORGER } from './nature.ts';

export type Verdict = {
  /** Devices that were counted Confirmed and did not run the image, but for those of `forged`. */
  wrongConfirmed: string[];
  /** Lied consistently and had no boot key: counted, and as unproven. */
  forged: number;
  /** How often its record was written, by device. */
  writes: Map<string, number>;
  mostWrites: number;
};

export function createLedger(target: string) {
  const wrong: string[] = [];
  const writes = new Map<string, number>();
  let forged = 0;
  return {
    /** At the moment at which it was written. */
    written(device: VirtualDevice, record: FirmwareRecord): void {
      writes.set(device.name, (writes.get(device.name) ?? 0) + 1);
      if (record.result !== 'Confirmed' || device.image.digest === target) return;
      if (device.nature.name === FORGER && record.proof === 'Unproven') forged += 1;
      else wrong.push(`${device.name} (${device.nature.name}): ${record.proof}`);
    },
    verdict: (): Verdict => ({ wrongConfirmed: wrong, forged, writes, mostWrites: Math.max(0, ...writes.values()) }),
  };
}
