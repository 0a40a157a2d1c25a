// What becomes of a Device after it was deleted, for those who look for it: an Event when ledger and broker have shut it out, or one that says what is still missing.
import { apiVersionOf, DEVICES } from '../api/resources.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import { refOf } from '../kube/object.ts';
import type { Clock } from '../runtime/clock.ts';
import type { EventNote, Recorder } from '../runtime/events.ts';
import { keyOfWireName } from './wire-name.ts';

export type FarewellDeps = {
  recorder: Pick<Recorder, 'event'>;
  broker: { bannedCertificate(md5: string): boolean };
  clock: Clock;
};

export interface Farewell {
  /** These certificates were revoked in the ledger because their Devices are gone. */
  retired(entries: readonly LedgerEntry[]): void;
  /** Looks at the broker's bans. */
  look(): void;
  run(signal: AbortSignal): Promise<void>;
}

type Leaving = { entries: LedgerEntry[]; since: number; told: boolean };

const LOOK_EVERY_MS = 1_000;
/** A ban takes seconds; whoever waits for longer wants to know for what. */
const PATIENCE_MS = 30_000;
/** The bans come from the ledger, whether or not anybody is told of them. */
const MOST_LEAVING = 10_000;

export function createFarewell({ recorder, broker, clock }: FarewellDeps): Farewell {
  /** By uid: another Device may have the name by now. */
  const leaving = new Map<string, Leaving>();

  function look(): void {
    for (const [uid, one] of leaving) {
      const open = one.entries.filter(({ md5, notAfter }) => Date.parse(notAfter) > clock.now() && !broker.bannedCertificate(md5));
      if (open.length === 0) {
        leaving.delete(uid);
        tell(one, {
          ...{ type: 'Normal', reason: 'Retired', action: 'Retire' },
          message: `the Device was deleted: ${count(one.entries)} revoked in the ledger, and banned at the broker until ${lastEnd(one.entries)}`,
        });
      } else if (!one.told && clock.elapsed() - one.since >= PATIENCE_MS) {
        one.told = true;
        tell(one, {
          ...{ type: 'Warning', reason: 'Retiring', action: 'Retire' },
          message: `the Device was deleted: ${count(one.entries)} revoked in the ledger, but the broker has not confirmed the ban of ${open.length} yet; it is made as soon as the broker answers`,
        });
      }
    }
  }

  function tell({ entries: [first] }: Leaving, note: EventNote): void {
    if (first === undefined) return;
    const { name, namespace = '' } = refOf(keyOfWireName(first.device));
    recorder.event({ apiVersion: apiVersionOf(DEVICES), kind: DEVICES.kind, name, namespace, uid: first.deviceUid }, note);
  }

  return {
    look,
    retired(entries) {
      for (const entry of entries) {
        const one = leaving.get(entry.deviceUid);
        if (one !== undefined) one.entries.push(entry);
        else if (leaving.size < MOST_LEAVING) leaving.set(entry.deviceUid, { entries: [entry], since: clock.elapsed(), told: false });
      }
    },
    async run(signal) {
      while (!signal.aborted) {
        look();
        await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
      }
    },
  };
}

const count = (entries: readonly LedgerEntry[]): string =>
  entries.length === 1 ? 'its certificate is' : `its ${entries.length} certificates are`;

const lastEnd = (entries: readonly LedgerEntry[]): string =>
  entries
    .map(({ notAfter }) => notAfter)
    .sort()
    .at(-1) ?? '';
