// The Devices of one site, as the driver sees them, and the one write that it makes to each.
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Device, FirmwareRecord } from '../api/device.ts';
import { DEVICES } from '../api/resources.ts';
import { candidateOf } from '../firmware/firmware.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import type { Clock, KubeMetrics, Log, Random } from '../kube/ports.ts';
import { createReflector, type Reflector } from '../kube/reflector.ts';
import { mergePatchFor } from '../runtime/merge-patch.ts';
import type { DeviceEnd } from './core.ts';
import type { DevicesPort } from './ports.ts';
import type { DeviceFacts } from './row.ts';

export type DevicesDeps = {
  client: Pick<KubeClient, 'get' | 'mergePatch' | 'listPage' | 'watch'>;
  site: string;
  component: string;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: KubeMetrics;
};

type View = { key: string; uid: string; resourceVersion: string; facts: DeviceFacts };
const MOST_TRIES = 5;

export function createDevices(deps: DevicesDeps): DevicesPort & { reflector: Reflector<View> } {
  const { client, site, component } = deps;
  const reflector = createReflector<Device, View>({
    ...{ client, type: DEVICES, namespace: site, clock: deps.clock, random: deps.random, log: deps.log, metrics: deps.metrics },
    project: (device) => ({
      key: `${site}/${device.metadata.name ?? ''}`,
      uid: device.metadata.uid ?? '',
      resourceVersion: device.metadata.resourceVersion ?? '',
      facts: deviceFactsOf(device, component),
    }),
  });

  async function record({ uid, name, record: wanted }: DeviceEnd, signal: AbortSignal): Promise<FirmwareRecord | undefined> {
    const cached = reflector.store.get(`${site}/${name}`);
    let known = cached?.uid === uid ? { resourceVersion: cached.resourceVersion, before: cached.facts.record } : undefined;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      known ??= await read(uid, name, signal);
      if (known === undefined) return undefined;
      if (isEnded(known.before, wanted)) return known.before;
      const patch = mergePatchFor(known.before ?? {}, wanted) ?? {};
      const metadata = { uid, resourceVersion: known.resourceVersion };
      try {
        const ref = { namespace: site, name };
        await client.mergePatch(
          DEVICES,
          ref,
          { metadata, status: { firmware: { [component]: patch } } },
          { subresource: 'status' },
          signal,
        );
        return wanted;
      } catch (error) {
        if (isNotFound(error)) return undefined;
        if (!isConflict(error)) throw error;
        // Somebody else has written: what is right is decided again by what stands there now.
        known = undefined;
      }
    }
    throw new Error(`the status of Device ${site}/${name} changes too often to be written`);
  }

  async function read(uid: string, name: string, signal: AbortSignal) {
    const device = await client.get<Device>(DEVICES, { namespace: site, name }, signal);
    if (device === undefined || device.metadata.uid !== uid) return undefined;
    return { resourceVersion: device.metadata.resourceVersion ?? '', before: device.status?.firmware?.[component] };
  }

  return {
    reflector,
    record,
    onChange(listener) {
      reflector.subscribe(({ before, after }) => {
        const uid = (after ?? before)?.uid;
        if (uid !== undefined) listener({ uid, facts: after?.facts });
      });
    },
    whenSynced: (signal) => reflector.whenSynced(signal),
  };
}

/** Another driver, or this one before its answer was lost, has written how it ended. What a Revert undoes is no such end. */
function isEnded(before: FirmwareRecord | undefined, { releaseUid, result }: FirmwareRecord): before is FirmwareRecord {
  if (before?.releaseUid !== releaseUid || before?.result === undefined) return false;
  return before.result === result || !(result === 'Reverted' || (before.result === 'Confirmed' && result === 'RolledBack'));
}

/** A Device that asks for a proof which cannot be checked is left alone. */
export function deviceFactsOf(device: Device, component: string): DeviceFacts {
  const candidate = candidateOf(device);
  const key = keyOf(device.spec.firmware?.bootKey);
  return {
    candidate: key === 'Unreadable' ? { ...candidate, hold: true } : candidate,
    record: device.status?.firmware?.[component],
    bootKey: key === 'Unreadable' ? undefined : key,
  };
}

function keyOf(pem: string | undefined): KeyObject | undefined | 'Unreadable' {
  if (pem === undefined || pem === '') return undefined;
  try {
    return createPublicKey(pem);
  } catch {
    return 'Unreadable';
  }
}
