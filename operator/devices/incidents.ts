// What the broker saw of two certificates of one Device: the older goes, by the ledger, so that the ban survives the broker's memory; the Device is never locked out.
import { apiVersionOf, DEVICES } from '../api/resources.ts';
import type { Incident } from '../broker/broker.ts';
import type { Identity, LedgerEntry } from '../identity/identity.ts';
import type { Store } from '../kube/store.ts';
import type { Clock } from '../runtime/clock.ts';
import type { EventNote, Recorder } from '../runtime/events.ts';
import type { Log } from '../runtime/log.ts';
import { COPIED, FLAPPING, isNewer, isValid, newestOf } from './certificates.ts';
import { type DeviceView, keyOfWireName } from './devices.ts';

export type IncidentDeps = {
  store: Pick<Store<DeviceView>, 'get'>;
  ledger: Pick<Identity['ledger'], 'byDevice' | 'revoke'>;
  recorder: Pick<Recorder, 'event'>;
  /** Something about this Device is to be said. */
  wake(key: string): void;
  clock: Clock;
  log: Log;
};

/** Resolves when the ledger has it. */
export function createIncidents(deps: IncidentDeps): (incident: Incident) => Promise<void> {
  return async (incident) => {
    const device = deps.store.get(keyOfWireName(incident.client));
    if (device === undefined) return;
    const entries = deps.ledger.byDevice(incident.client).filter((entry) => entry.deviceUid === device.uid);
    const older = toBan(incident, entries, deps.clock.now());
    const ids = older.map((entry) => entry.id);
    const copied = incident.kind === 'copied';
    if (ids.length > 0)
      await deps.ledger.revoke(ids, copied ? { reason: 'Compromised', by: COPIED } : { reason: 'Superseded', by: FLAPPING });
    deps.log.warn(
      { client: incident.client, kind: incident.kind, banned: ids.length },
      'two certificates of one device, or a flapping record',
    );
    // A copy is told by the Device's condition.
    if (!copied) deps.recorder.event(regarding(device), flappingNote(incident.client, older));
    deps.wake(device.key);
  };
}

/** Never the only one that the device may have: of a flapping record alone nobody knows which it uses, unless the newest was seen in use a moment ago. */
export function toBan(incident: Incident, entries: readonly LedgerEntry[], now: number): LedgerEntry[] {
  const valid = entries.filter((entry) => isValid(entry, now));
  const seen = valid.filter((entry) => incident.md5s.includes(entry.md5));
  if (incident.kind === 'copied') {
    const stays = newestOf(seen);
    return stays === undefined ? [] : seen.filter((entry) => isNewer(stays, entry));
  }
  const newest = newestOf(valid);
  return newest === undefined || !seen.includes(newest) ? [] : valid.filter((entry) => isNewer(newest, entry));
}

function flappingNote(client: string, banned: readonly LedgerEntry[]): EventNote {
  const which =
    banned.length === 0 ? 'no certificate was banned' : `certificate ${banned.map(({ serial }) => serial).join(', ')} was banned instead`;
  return {
    type: 'Warning',
    reason: 'FlappingRecordRemoved',
    message: `EMQX's flapping detector had banned ${client}, which locks the device itself out: the record was removed and ${which}. Cure: switch flapping_detect off (docs/guides/emqx.md); see why the device connects so often`,
    action: 'Unban',
  };
}

const regarding = ({ name, namespace, uid }: DeviceView) => ({
  apiVersion: apiVersionOf(DEVICES),
  kind: DEVICES.kind,
  name,
  namespace,
  uid,
});
