// How far a Rotate has come, from what ledger and broker show. Pure. Steps keep the time at which they were first seen, and are never a reason to skip work.
import type { DeviceStatus } from '../api/device.ts';
import { isBeforeRotation, type LedgerEntry, type Rotation } from '../identity/identity.ts';
import { isValid } from './certificates.ts';

export type RotationSight = {
  rotation: Rotation | undefined;
  /** Of this very Device. */
  entries: readonly LedgerEntry[];
  /** Whether the broker was seen to hold the ban of this certificate. */
  banned(md5: string): boolean;
  before: DeviceStatus['rotation'];
  /** ms, and RFC 3339. */
  now: number;
};

const STEPS = ['Ledger', 'Broker', 'Certificate'];

export function rotationStatus({ rotation, entries, banned, before, now }: RotationSight): DeviceStatus['rotation'] {
  if (rotation === undefined) return undefined;
  const { at, compromised } = rotation;
  const done = new Set<string>();
  if (compromised !== undefined) {
    const old = entries.filter((entry) => isBeforeRotation(entry, compromised.at));
    const inLedger = old.every(isGivenUp);
    if (inLedger) done.add('Ledger');
    if (inLedger && old.every((entry) => Date.parse(entry.notAfter) <= now || banned(entry.md5))) done.add('Broker');
  }
  if (entries.some((entry) => isValid(entry, now) && !isBeforeRotation(entry, at))) done.add('Certificate');
  // Steps of an older Rotate are not those of this one.
  const seen = before?.requestedAt === at && before.compromisedAt === compromised?.at ? (before.steps ?? []) : [];
  const steps = STEPS.flatMap(
    (step) => seen.find((old) => old.step === step) ?? (done.has(step) ? { step, at: new Date(now).toISOString() } : []),
  );
  return {
    requestedAt: at,
    ...(compromised === undefined ? {} : { compromisedAt: compromised.at }),
    ...(steps.length === 0 ? {} : { steps }),
  };
}

/** Not only the certificate: one that a move or its successor ended leaves its key good. */
function isGivenUp({ revoked }: LedgerEntry): boolean {
  return revoked !== undefined && revoked.reason !== 'Moved' && revoked.reason !== 'Superseded';
}
