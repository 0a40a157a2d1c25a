// What a deleted Device has left at the broker: retained messages. They are removed when its certificates are banned, for it could leave others before that. Level-triggered:
// who is gone is read from the ledger, so an operator that starts anew looks once more.
import type { Retained, SegmentRights } from '../broker/broker.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';

export type LeftoversDeps = {
  retained: Pick<Retained, 'list' | 'remove'>;
  broker: { bannedCertificate(md5: string): boolean };
  /** Undefined before ledger and Devices were read completely: until then nobody is gone. */
  entries(): Iterable<LedgerEntry> | undefined;
  isDevice(wireName: string): boolean;
  rights(): readonly SegmentRights[];
  clock: Clock;
  log: Log;
};

export interface Leftovers {
  /** Looks at who is gone and removes what is there. */
  look(): Promise<void>;
  run(signal: AbortSignal): Promise<void>;
}

const LOOK_EVERY_MS = 10_000;
/** The will of a client whose session was ended may come late. */
const SETTLED_MS = 30_000;
/** The ledger keeps what was revoked for ever; whose last certificate ended so long ago was looked for when that happened. */
const FORGOTTEN_MS = 86_400_000;
/** Of one look: a few questions each. */
const MOST_OF_LOOK = 100;
/** What every device may have, by the rights that no policy gives (broker/base-rights.ts), and what is sent to it. */
const ALWAYS = ['dt/+/{device}/#', 'cmd/+/{device}/#', 'ota/v1/d/{device}/#', 'recovery/{device}/#', 'trust/v1/d/{device}/#'];

export function createLeftovers({ retained, broker, entries, isDevice, rights, clock, log }: LeftoversDeps): Leftovers {
  /** When its bans were seen first; undefined: nothing is left of it. */
  const seen = new Map<string, number | undefined>();

  async function look(): Promise<void> {
    const gone = goneOf(entries() ?? [], isDevice, clock.now() - FORGOTTEN_MS);
    for (const name of seen.keys()) if (!gone.has(name)) seen.delete(name);
    let left = MOST_OF_LOOK;
    for (const [name, own] of gone) {
      if (seen.has(name) && seen.get(name) === undefined) continue;
      if (own.some(({ md5, notAfter }) => Date.parse(notAfter) > clock.now() && !broker.bannedCertificate(md5))) continue;
      if (left-- === 0) return;
      const since = seen.get(name) ?? clock.elapsed();
      await clear(name, own);
      seen.set(name, clock.elapsed() - since >= SETTLED_MS ? undefined : since);
    }
  }

  async function clear(name: string, own: readonly LedgerEntry[]): Promise<void> {
    let removed = 0;
    for (const filter of filtersOf(name, new Set(own.map(({ segment }) => segment)), rights())) {
      const rows = await retained.list(filter);
      for (const { topic } of rows) await retained.remove(topic);
      removed += rows.length;
    }
    if (removed > 0) log.info({ device: name, removed }, 'retained messages of a deleted Device were removed');
  }

  return {
    look,
    async run(signal) {
      while (!signal.aborted) {
        await look().catch((error: unknown) =>
          log.warn({ err: error }, 'retained messages of deleted Devices are still there; it is tried again'),
        );
        await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
      }
    },
  };
}

function goneOf(entries: Iterable<LedgerEntry>, isDevice: (wireName: string) => boolean, sinceMs: number): Map<string, LedgerEntry[]> {
  const gone = new Map<string, LedgerEntry[]>();
  for (const entry of entries) {
    if (isDevice(entry.device) || Date.parse(entry.notAfter) < sinceMs) continue;
    const own = gone.get(entry.device) ?? [];
    own.push(entry);
    gone.set(entry.device, own);
  }
  return gone;
}

/** Whole levels only: a segment may have the same name as a device. What a policy lets its devices retain is among them. */
function filtersOf(device: string, segments: ReadonlySet<string>, rights: readonly SegmentRights[]): Set<string> {
  const own = rights.filter(({ segment }) => segments.has(segment));
  const more = own.flatMap(({ segment, publish }) =>
    publish
      .filter(({ topic, retain }) => retain !== false && topic.includes('{device}'))
      .map(({ topic }) => topic.replaceAll('{segment}', segment)),
  );
  return new Set([...ALWAYS, ...more].map((topic) => topic.replaceAll('{device}', device)));
}
