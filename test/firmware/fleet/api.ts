// The API server as drivers use it: a record for each device, written by one patch with the resourceVersion that was read, and a watch of it.
import type { FirmwareRecord } from '../../../operator/api/device.ts';
import type { DeviceFacts } from '../../../operator/driver/row.ts';
import type { VirtualDevice } from './device.ts';
import type { createLedger } from './ledger.ts';
import type { Random } from './random.ts';
import { deviceOf, factsFor, uidOf } from './scene.ts';
import type { World } from './world.ts';

const LATENCY_MS = 30;

export type VirtualApi = ReturnType<typeof createApi>;
type Watch = (facts: DeviceFacts) => void;

/** `failing`: the share of writes that are refused for now. */
export function createApi(
  world: World,
  devices: readonly VirtualDevice[],
  ledger: ReturnType<typeof createLedger>,
  chance: { random: Random; failing: number },
) {
  const factsOf = ({ name, bootKey }: VirtualDevice, record?: FirmwareRecord): DeviceFacts => factsFor(deviceOf(name), bootKey, record);
  const byUid = new Map(devices.map((device) => [uidOf(deviceOf(device.name)), { device, facts: factsOf(device), version: 1 }]));
  const watches = new Set<Watch>();
  return {
    list: (): DeviceFacts[] => [...byUid.values()].map(({ facts }) => facts),
    watch(see: Watch): () => void {
      watches.add(see);
      return () => watches.delete(see);
    },
    version: (uid: string): number => byUid.get(uid)?.version ?? 0,
    /** `answered`: whether it stands. It may stand and nobody be told. */
    write(uid: string, read: number, record: FirmwareRecord, answered: (isWritten: boolean) => void): void {
      world.after(LATENCY_MS, () => {
        const stored = byUid.get(uid);
        if (stored === undefined || stored.version !== read || chance.random() < chance.failing) return answered(false);
        stored.version += 1;
        stored.facts = factsOf(stored.device, record);
        ledger.written(stored.device, record);
        answered(true);
        world.after(LATENCY_MS, () => {
          for (const see of watches) see(stored.facts);
        });
      });
    },
    records: (): Map<string, FirmwareRecord | undefined> =>
      new Map([...byUid.values()].map(({ device, facts }) => [device.name, facts.record])),
  };
}
