// What the API server says of the Devices at this moment: a watch, not a poll.
import type { Device } from '../../operator/api/device.ts';
import type { Condition } from '../../operator/api/meta.ts';
import { DEVICES } from '../../operator/api/resources.ts';
import { connect } from '../../operator/kube/client.ts';
import { kubeconfigConnection } from '../../operator/kube/config.ts';
import { keyOf } from '../../operator/kube/object.ts';
import { noKubeMetrics } from '../../operator/kube/ports.ts';
import { createReflector } from '../../operator/kube/reflector.ts';
import type { Projected } from '../../operator/kube/store.ts';
import { systemClock } from '../../operator/runtime/clock.ts';
import { silentLog } from '../../operator/runtime/log.ts';
import { systemRandom } from '../../operator/runtime/random.ts';
import { patiently } from './patience.ts';

export type DeviceView = Projected & {
  name: string;
  generation: number;
  conditions: Condition[];
  serialNumber: string | undefined;
  certificate: string | undefined;
};

export type DeviceWatch = {
  get(name: string): DeviceView | undefined;
  all(): DeviceView[];
  /** Waits until the Device shows the condition for its newest generation; the error says what it showed last. */
  until(name: string, type: string, status: Condition['status']): Promise<Condition>;
  stop(): Promise<void>;
};

export async function watchDevices(kubeconfig: string, namespace: string): Promise<DeviceWatch> {
  const deps = { clock: systemClock, random: systemRandom, log: silentLog, metrics: noKubeMetrics };
  const client = connect(await kubeconfigConnection(kubeconfig), deps);
  const reflector = createReflector<Device, DeviceView>({ ...deps, client, type: DEVICES, namespace, project: viewOf });
  const stop = new AbortController();
  const running = reflector.run(stop.signal);
  await reflector.whenSynced(stop.signal);
  const get = (name: string): DeviceView | undefined => reflector.store.get(`${namespace}/${name}`);
  return {
    get,
    all: () => [...reflector.store.values()],
    until: (name, type, status) =>
      patiently(`Device ${name} to show ${type}=${status}`, () => shown(get(name), type, status), {
        everyMs: 10,
        describe: () => describe(get(name)),
      }),
    async stop() {
      stop.abort(new Error('the demo is over'));
      await running;
      await client.close();
    },
  };
}

export function conditionOf(view: DeviceView | undefined, type: string): Condition | undefined {
  return view?.conditions.find((condition) => condition.type === type);
}

function shown(view: DeviceView | undefined, type: string, status: Condition['status']): Condition | undefined {
  const condition = conditionOf(view, type);
  const current = (condition?.observedGeneration ?? 0) >= (view?.generation ?? 0);
  return condition?.status === status && current ? condition : undefined;
}

function describe(view: DeviceView | undefined): string {
  if (view === undefined) return 'there is no such Device';
  const conditions = view.conditions.map(({ type, status, reason, message }) => `${type}=${status} (${reason}: ${message})`);
  return conditions.length === 0 ? 'it has no conditions yet' : `it shows ${conditions.join(', ')}`;
}

const viewOf = (device: Device): DeviceView => ({
  key: keyOf(device),
  uid: device.metadata.uid ?? '',
  resourceVersion: device.metadata.resourceVersion ?? '',
  name: device.metadata.name ?? '',
  generation: device.metadata.generation ?? 0,
  conditions: device.status?.conditions ?? [],
  serialNumber: device.status?.identity?.serialNumber,
  certificate: device.status?.certificate,
});
