// When the certificates of Devices that are gone are revoked: soon after a deletion, and now and then, because nobody may have seen one.
import type { KubeClient } from '../kube/client.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { CertificateLedgerLog } from './ledger.ts';
import type { StoredEntry } from './ledger-entry.ts';
import { retireOrphans } from './retire.ts';

export type RetirementDeps = {
  client: KubeClient;
  ledger: CertificateLedgerLog;
  devices: Parameters<typeof retireOrphans>[0]['devices'];
  clock: Clock;
  log: Log;
};

const EVERY_MS = 60_000;
const AGAIN_MS = 2_000;
/** Deletions come in groups (a namespace): compare once for all of them. */
const AFTER_MS = 150;

export function createRetirement({ client, ledger, devices, clock, log }: RetirementDeps) {
  const listeners: ((entries: readonly StoredEntry[]) => void)[] = [];
  let planned: { cancel(): void } | undefined;

  async function now(signal?: AbortSignal): Promise<void> {
    const dead = await retireOrphans({ client, ledger, devices }, clock.now(), signal);
    for (const listener of listeners) listener(dead);
    if (dead.length > 0) log.info({ certificates: dead.length }, 'certificates of Devices that are gone were revoked');
  }

  function attempt(): void {
    planned = undefined;
    now().catch((error: unknown) => {
      log.warn({ err: error }, 'could not retire certificates yet');
      if (planned === undefined) planned = clock.setTimer(AGAIN_MS, attempt);
    });
  }

  return {
    now,
    soon(): void {
      if (planned === undefined) planned = clock.setTimer(AFTER_MS, attempt);
    },
    onRetired: (listener: (entries: readonly StoredEntry[]) => void): void => void listeners.push(listener),
    async run(synced: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
      await synced(signal);
      while (!signal.aborted) {
        attempt();
        await clock.sleep(devices.synced && ledger.synced ? EVERY_MS : 500, signal).catch(() => undefined);
      }
    },
  };
}
