// Certificates whose Device is not there any more (docs/adr/0005-no-finalizer.md): found by comparing, however the Device went.
import type { Device } from '../api/device.ts';
import { DEVICES } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import type { DeviceFacts } from './device-facts.ts';
import type { CertificateLedgerLog } from './ledger.ts';
import type { StoredEntry } from './ledger-entry.ts';

export type RetireDeps = {
  client: Pick<KubeClient, 'get' | 'list'>;
  ledger: CertificateLedgerLog;
  devices: { readonly synced: boolean; get(key: string): DeviceFacts | undefined };
};

/** From so many vanished Devices of a namespace on, one list is cheaper than a read each. */
const LIST_FROM = 10;

/** Revokes what has no living Device of the same uid; gives the entries that were revoked. Does nothing until both sides were read completely. */
export async function retireOrphans(deps: RetireDeps, now: number, signal?: AbortSignal): Promise<StoredEntry[]> {
  const { ledger, devices } = deps;
  if (!ledger.synced || ledger.problem !== undefined || !devices.synced) return [];
  const orphans = [...ledger.all(), ...ledger.pending()].filter((entry) => isOrphan(entry, devices, now));
  if (orphans.length === 0) return [];
  const living = await livingUids(orphans, deps.client, signal);
  const dead = orphans.filter((entry) => !living.has(entry.deviceUid));
  if (dead.length > 0) {
    await ledger.revoke(
      dead.map((entry) => entry.id),
      { reason: 'Retired', by: 'hedgerow' },
    );
  }
  return dead;
}

function isOrphan(entry: StoredEntry, devices: RetireDeps['devices'], now: number): boolean {
  if (entry.revoked !== undefined || Date.parse(entry.notAfter) <= now) return false;
  const { namespace, name } = splitWireName(entry.device);
  return devices.get(`${namespace}/${name}`)?.uid !== entry.deviceUid;
}

/** The ledger holds only names of the form `<device>.<namespace>`. */
function splitWireName(wireName: string): { name: string; namespace: string } {
  const [name = '', namespace = ''] = wireName.split('.');
  return { name, namespace };
}

/** A revocation cannot be taken back, so the cache's word is not enough: the API server is asked. */
async function livingUids(orphans: StoredEntry[], client: RetireDeps['client'], signal: AbortSignal | undefined): Promise<Set<string>> {
  const byNamespace = new Map<string, Set<string>>();
  for (const entry of orphans) {
    const { namespace, name } = splitWireName(entry.device);
    byNamespace.set(namespace, (byNamespace.get(namespace) ?? new Set()).add(name));
  }
  const living = new Set<string>();
  for (const [namespace, names] of byNamespace) {
    const found =
      names.size >= LIST_FROM
        ? await client.list<Device>(DEVICES, { namespace }, signal)
        : await Promise.all([...names].map((name) => client.get<Device>(DEVICES, { namespace, name }, signal)));
    for (const device of found) if (device?.metadata.uid !== undefined) living.add(device.metadata.uid);
  }
  return living;
}
