// The devices of the site as the gateway knows them: who may speak at all, and in which segment. From the API server, or from a file where there is none.
import type { Device, DeviceStatus } from '../../../operator/api/device.ts';
import { deviceName, segmentName } from '../../../operator/api/names.ts';
import { DEVICES } from '../../../operator/api/resources.ts';
import { keyOf } from '../../../operator/kube/object.ts';
import { createReflector, type Reflector, type ReflectorOptions } from '../../../operator/kube/reflector.ts';
import type { Projected } from '../../../operator/kube/store.ts';

export type KnownDevice = {
  /** `<device>.<site>` */
  name: string;
  uid: string;
  /** `<segment>.<site>` */
  segment: string;
  labels: Record<string, string>;
  lifecycle: 'Active' | 'Quarantined' | 'Revoked';
};

export type Devices = {
  /** False until all were heard of once: until then nobody is missing. */
  isSynced(): boolean;
  get(name: string): KnownDevice | undefined;
  all(): Iterable<KnownDevice>;
};

export type WatchedDevice = Projected & { device: KnownDevice };
type Shared = Pick<ReflectorOptions<Device, WatchedDevice>, 'client' | 'clock' | 'random' | 'log' | 'metrics'>;

/** `onChange`: a device is new, another one, or gone. */
export function watchDevices(site: string, shared: Shared, onChange: () => void): Devices & { reflector: Reflector<WatchedDevice> } {
  const reflector = createReflector<Device, WatchedDevice>({
    ...shared,
    type: DEVICES,
    namespace: site,
    project: (object) => ({
      key: keyOf(object),
      uid: object.metadata.uid ?? '',
      resourceVersion: object.metadata.resourceVersion ?? '',
      device: knownDevice(object, site),
    }),
    onChange,
  });
  const { store } = reflector;
  const suffix = `.${site}`;
  return {
    reflector,
    isSynced: () => store.synced,
    get: (name) => (name.endsWith(suffix) ? store.get(`${site}/${name.slice(0, -suffix.length)}`)?.device : undefined),
    *all() {
      for (const { device } of store.values()) yield device;
    },
  };
}

export function knownDevice({ metadata, spec, status }: Device, site: string): KnownDevice {
  return {
    name: deviceName(metadata.name ?? '', site),
    uid: metadata.uid ?? '',
    segment: segmentName(spec.segment, site),
    labels: metadata.labels ?? {},
    lifecycle: stricter(spec.lifecycle ?? 'Active', shown(status)),
  };
}

/** What an Intervention asks for stands in the conditions; who has just been revoked in spec has no condition yet. */
function shown(status: DeviceStatus | undefined): KnownDevice['lifecycle'] {
  const isTrue = (type: string): boolean => status?.conditions?.some((one) => one.type === type && one.status === 'True') === true;
  if (isTrue('Revoked')) return 'Revoked';
  return isTrue('Quarantined') ? 'Quarantined' : 'Active';
}

const ORDER = ['Active', 'Quarantined', 'Revoked'] as const;
const stricter = (one: KnownDevice['lifecycle'], other: KnownDevice['lifecycle']): KnownDevice['lifecycle'] =>
  ORDER[Math.max(ORDER.indexOf(one), ORDER.indexOf(other))] ?? 'Revoked';
