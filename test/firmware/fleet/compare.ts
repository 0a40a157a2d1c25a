// Whether two runs of the same devices came to the same ends.
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import type { VirtualDevice } from './device.ts';
import { isSilent } from './ends.ts';
import type { Outcome } from './fleet.ts';
import { FORGER } from './nature.ts';

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

export function differences(quiet: Outcome, troubled: Outcome): string[] {
  return quiet.devices.flatMap((device, at) => {
    const twin = troubled.devices[at] ?? device;
    const [before, after] = [endOf(device, quiet.records.get(device.name)), endOf(twin, troubled.records.get(device.name))];
    return before === after ? [] : [`${device.name} (${device.nature.name}): ${before}, then ${after}`];
  });
}
