// A fleet of Device manifests with keys of their own, made quickly: about a millisecond each.
import type { Device } from '../../operator/api/device.ts';
import { API_VERSION } from '../../operator/api/resources.ts';
import { type DeviceKey, makeDeviceKey } from '../simulator/key.ts';

export type FleetDevice = { name: string; namespace: string; segment: string; key: DeviceKey; manifest: Device };

export async function makeFleet(options: { count: number; namespace: string; segment: string; prefix?: string }): Promise<FleetDevice[]> {
  const fleet: FleetDevice[] = [];
  for (let n = 1; n <= options.count; n += 1) fleet.push(await makeFleetDevice({ ...options, name: `${options.prefix ?? 'device'}-${n}` }));
  return fleet;
}

export async function makeFleetDevice(options: { name: string; namespace: string; segment: string }): Promise<FleetDevice> {
  const { name, namespace, segment } = options;
  const key = await makeDeviceKey({ device: name, segment, namespace });
  const manifest = {
    apiVersion: API_VERSION,
    kind: 'Device',
    metadata: { name, namespace },
    spec: {
      segment,
      hardware: { model: 'tmp-2', revision: '1.0', serial: `SN-${name}` },
      identity: { enrollment: 'CSR', csr: key.csrPem },
    },
  } as Device;
  return { name, namespace, segment, key, manifest };
}
