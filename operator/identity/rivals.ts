// Two Devices with the same serial number or key: the newcomer stalls, never the one that was first. Pure.
import type { DeviceFacts } from './device-facts.ts';

/** Of the Devices of one serial number, those that are not a thing of another maker: two makers may use the same numbers. */
export function sameMaker(device: Pick<DeviceFacts, 'factory'>, others: DeviceFacts[]): DeviceFacts[] {
  const ca = device.factory?.ca;
  return others.filter((other) => ca === undefined || other.factory?.ca === undefined || other.factory.ca === ca);
}

/** `<namespace>/<name>` of the Device that was before this one; undefined when this one is first. First = has a certificate, then the older, then by uid. */
export function firstOf(
  device: DeviceFacts,
  claimants: DeviceFacts[],
  hasCertificate: (device: DeviceFacts) => boolean,
): string | undefined {
  const rank = (d: DeviceFacts) => [hasCertificate(d) ? '0' : '1', d.createdAt, d.uid].join(' ');
  let first = device;
  for (const other of claimants) if (other.uid !== device.uid && rank(other) < rank(first)) first = other;
  return first === device ? undefined : first.key;
}
