// Whether two runs of the same devices came to the same ends.
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import type { VirtualDevice } from './device.ts';
import { isSilent } from './ends.ts';
import type { Outcome } from './fleet.ts';
import { FORGER } from './nature.ts';
import { NEW } from './scene.ts';

/**
 * TimedOut, Lost and away are one: nothing was heard that counts, and which of them it is called depends on whether a liar has overwritten the state before its lie when the
 * next driver looks. A device that resets its boot counter, and a
 * forger without a boot key, may be believed or not: whether that is wrong the ledger sees.
 */
function endOf(device: VirtualDevice, record: FirmwareRecord | undefined): string {
  const { result, code } = record ?? {};
  if (device.nature.plays === 'resets' || device.nature.name === FORGER) return device.nature.name;
  if (result === undefined || isSilent(result)) return 'nothing that counts';
  return result === 'Rejected' || result === 'Failed' ? `${result} ${code}` : result;
}

/**
 * A device with a boot key whose directive both the driver and the broker have forgotten while it tested the image: it runs it, and its bootloader says so for good only
 * after the next start. It is not counted as a success.
 */
const waitsForProof = ({ nature, image }: VirtualDevice, { result, code }: Partial<FirmwareRecord> = {}): boolean =>
  nature.key === true && image.digest === NEW.digest && result === 'Rejected' && code === 5;

export function differences(quiet: Outcome, troubled: Outcome): { other: string[]; unproven: string[] } {
  const other: string[] = [];
  const unproven: string[] = [];
  for (const [at, device] of quiet.devices.entries()) {
    const [before, after] = [quiet.records.get(device.name), troubled.records.get(device.name)];
    const twin = troubled.devices[at] ?? device;
    if (endOf(device, before) === endOf(twin, after)) continue;
    if (before?.result === 'Confirmed' && waitsForProof(twin, after)) unproven.push(device.name);
    else other.push(`${device.name} (${device.nature.name}): ${endOf(device, before)}, then ${endOf(twin, after)}`);
  }
  return { other, unproven };
}
