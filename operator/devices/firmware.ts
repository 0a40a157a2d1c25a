// What the firmware record and the boot key of a Device say, as conditions. Pure. The record itself is written by drivers of rollouts and by what listens to devices.
import type { Device, DeviceStatus } from '../api/device.ts';
import { explainFirmware, publicKeyFrom } from '../firmware/firmware.ts';

type Verdict = { status: 'True' | 'False'; reason: string; message: string };
type Records = NonNullable<DeviceStatus['firmware']>;

/**
 * Whether each component runs what its last release brought; undefined where no release has come to an end on this device. By the record alone: whether there is a
 * newer release is for the release to say.
 */
export function firmwareCurrent(records: Records | undefined): Verdict | undefined {
  const ended = Object.entries(records ?? {}).filter(([, { result }]) => result !== undefined);
  if (ended.length === 0) return undefined;
  const others = ended.filter(([, { result }]) => result !== 'Confirmed').sort(([a], [b]) => (a < b ? -1 : 1));
  const [first] = others;
  // The same words after each release: a success after a success writes nothing.
  if (first === undefined)
    return { status: 'True', reason: 'Confirmed', message: 'each component runs what its last release brought, booted and confirmed' };
  const more = others.length > 1 ? `; ${others.length - 1} more components as well` : '';
  return { status: 'False', reason: first[1].result ?? 'Failed', message: `${sentenceOf(first)}${more}` };
}

function sentenceOf([component, { result, release, code, version }]: [string, Records[string]]): string {
  const why = code === undefined ? '' : `, code ${code} of the device`;
  return `${component}: ${release ?? 'a release'} ended in ${result}${why}; it runs ${version}`;
}

/** Undefined where there is none, or it can be used. A key that cannot be used proves nothing, and no success of the device would count. */
export function bootKeyInvalid(spec: Device['spec']): string | undefined {
  const { bootKey = '' } = spec.firmware ?? {};
  if (bootKey === '') return undefined;
  const key = publicKeyFrom(bootKey);
  return key.ok ? undefined : explainFirmware(key.problem, 'spec.firmware.bootKey');
}
