// Devices of an import at the API server: made when they are not there, left alone when they say the same.
import type { Device } from '../api/device.ts';
import { DEVICES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, KubeError } from '../kube/errors.ts';
import { printable } from './adoption-text.ts';
import { explain } from './errors.ts';
import { says } from './import-checks.ts';
import type { Written } from './import-files.ts';
import type { Imported } from './import-row.ts';

export type ImportClient = Pick<KubeClient, 'get' | 'list' | 'create' | 'mergePatch' | 'raw'>;

export async function devicesOf(client: ImportClient, namespace: string): Promise<Map<string, Device>> {
  const all = await client.list<Device>(DEVICES, { namespace });
  return new Map(all.map((device) => [device.metadata.name ?? '', device]));
}

/** `there`: as the list showed it, undefined when it did not. `write` false: the API server judges it and keeps nothing. */
export async function applyDevice(
  client: ImportClient,
  device: Imported['device'],
  there: Device | undefined,
  how: { replace: boolean; write: boolean },
): Promise<Written> {
  try {
    return await applied(client, device, there, how);
  } catch (error) {
    // Nobody answers, or nobody may: that is no matter of this row.
    if (!(error instanceof KubeError) || ![400, 409, 413, 422].includes(error.status)) throw error;
    return { problem: explain('HR-CLI-057', printable(error.message.slice(0, MOST_WORDS))) };
  }
}

const MOST_WORDS = 600;

async function applied(
  client: ImportClient,
  device: Imported['device'],
  there: Device | undefined,
  how: { replace: boolean; write: boolean },
): Promise<Written> {
  const { name, namespace, labels } = device.metadata;
  if (there === undefined) {
    try {
      await create(client, device, how.write);
      return 'new';
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }
  const live = there ?? (await client.get<Device>(DEVICES, { name, namespace }));
  if (says(live?.spec, device.spec) && says(live?.metadata.labels ?? {}, labels ?? {})) return 'there';
  if (!how.replace) return { problem: explain('HR-CLI-056', `${namespace}/${name}`) };
  if (how.write) await client.mergePatch<Device>(DEVICES, { name, namespace }, { metadata: { labels }, spec: device.spec });
  return 'new';
}

async function create(client: ImportClient, device: Imported['device'], write: boolean): Promise<void> {
  if (write) await client.create<Device>(DEVICES, device);
  else
    await client.raw(
      'POST',
      `/apis/${DEVICES.group}/${DEVICES.version}/namespaces/${device.metadata.namespace}/${DEVICES.plural}?dryRun=All`,
      device,
    );
}
