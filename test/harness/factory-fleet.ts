// Devices as they leave the factory: each with its IDevID, a key of its own and the request for the name that it will have. No manifest.
import { registeredName } from '../../operator/identity/registered-device.ts';
import type { FactoryDevice, Maker } from '../../operator/identity/testing/maker.ts';
import { type DeviceKey, makeDeviceKey } from '../simulator/key.ts';

export type BoxedDevice = { serial: string; name: string; factory: FactoryDevice; key: DeviceKey /** base64, for EST */; request: string };

export async function makeFactoryFleet(o: {
  maker: Maker;
  namespace: string;
  segment: string;
  count: number;
  prefix?: string;
}): Promise<BoxedDevice[]> {
  const { maker, namespace, segment } = o;
  const fleet: BoxedDevice[] = [];
  for (let n = 1; n <= o.count; n += 1) fleet.push(await boxedDevice(maker, `${o.prefix ?? 'SN'}-${n}`, { namespace, segment }));
  return fleet;
}

export async function boxedDevice(maker: Maker, serial: string, where: { namespace: string; segment: string }): Promise<BoxedDevice> {
  const name = registeredName({ ca: maker.fingerprint, serial }, where.namespace);
  if (name === undefined) throw new Error(`the namespace ${where.namespace} leaves no room for a name`);
  const key = await makeDeviceKey({ device: name, ...where });
  return { serial, name, factory: await maker.device(serial), key, request: key.csrPem.replace(/-----[^-]+-----|\s/g, '') };
}

/** The Secret with the maker's CA, the ConfigMap with the serial numbers, and the SegmentPolicy that lets them in. */
export function letIn(o: {
  maker: Maker;
  namespace: string;
  segment: string;
  serials: readonly string[];
  maximum: number;
  spec?: object;
}): object[] {
  const { maker, namespace, segment } = o;
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'hedgerow-manufacturer-ca', namespace }, stringData: { [segment]: maker.caPem } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'hedgerow-serials', namespace }, data: { [segment]: o.serials.join('\n') } },
    {
      apiVersion: 'hedgerow.dev/v1alpha1',
      kind: 'SegmentPolicy',
      metadata: { name: segment, namespace },
      spec: {
        topics: { publish: [{ topic: 'dt/{segment}/{device}/#' }], subscribe: [{ topic: 'cmd/{segment}/{device}/#' }] },
        enrollment: {
          manufacturerCA: { secretRef: { name: 'hedgerow-manufacturer-ca', key: segment }, sha256: [maker.fingerprint] },
          serials: { configMapRefs: [{ name: 'hedgerow-serials', key: segment }] },
          maximum: o.maximum,
          approval: 'Auto',
        },
        ...o.spec,
      },
    },
  ];
}
