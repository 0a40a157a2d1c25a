// What becomes of the firmware record of a component when its device says what runs. Pure.
import type { DeviceStatus } from '../api/device.ts';

export type FirmwareRecord = NonNullable<DeviceStatus['firmware']>[string];
/** As a hello says it. */
export type Running = { version: string; digest: string; securityCounter: number };

export const isSame = (record: FirmwareRecord | undefined, heard: Running): boolean =>
  record?.digest === heard.digest && record.version === heard.version && record.securityCounter === heard.securityCounter;

/**
 * The record with what runs now. What a driver wrote of the last attempt stays, but for one thing: a device that had confirmed an image and runs another one has gone
 * back on its own. `nowIso`: RFC 3339.
 */
export function recordWith(before: FirmwareRecord | undefined, heard: Running, nowIso: string): FirmwareRecord {
  const running = { version: heard.version, digest: heard.digest, securityCounter: heard.securityCounter };
  if (before?.result !== 'Confirmed' || before.digest === heard.digest) return { ...before, ...running };
  const { proof: _proof, code: _code, previous: _previous, ...kept } = before;
  return { ...kept, ...running, result: 'RolledBack', endedAt: nowIso };
}

export const hasRolledBack = (before: FirmwareRecord | undefined, after: FirmwareRecord): boolean =>
  before?.result === 'Confirmed' && after.result === 'RolledBack';
