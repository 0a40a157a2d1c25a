// How far a revocation has come, from what ledger, broker and lists show now. Pure. Times are history, never a reason to skip work.
import type { DeviceStatus } from '../api/device.ts';
import type { LedgerEntry } from '../identity/identity.ts';

/** What the operator sees of the lists; absent where no CRL is configured. */
export type Lists = {
  names(issuer: string, serial: string): boolean;
  known(issuer: string): boolean;
  expected(issuer: string): boolean;
  problem(issuer: string, offlineBudgetMs: number): { reason: string; message: string } | undefined;
};

/** `off`: no CRL, or no certificate that could be on one. `unlisted`: missing, and not to be expected within seconds. */
export type Listed = 'off' | 'listed' | 'awaited' | 'unknown' | 'unlisted';

type Steps = NonNullable<NonNullable<DeviceStatus['identity']>['revocationSteps']>;

/** Are all certificates of this Device that have not expired on the lists of their issuers? */
export function listed(entries: readonly LedgerEntry[], uid: string, lists: Lists | undefined, now: number): Listed {
  const own = entries.filter((entry) => entry.deviceUid === uid && Date.parse(entry.notAfter) > now);
  if (lists === undefined || own.length === 0) return 'off';
  const missing = own.filter(({ issuer, serial }) => !lists.names(issuer, serial));
  if (missing.length === 0) return 'listed';
  if (missing.some(({ issuer }) => !lists.known(issuer))) return 'unknown';
  return missing.some(({ issuer }) => lists.expected(issuer)) ? 'awaited' : 'unlisted';
}

/** Nobody has looked yet since the operator began: a list that named it once still does, since nothing leaves a list before it expires. */
export function listedSince(before: Steps, now: Listed): Listed {
  if (now !== 'unknown') return now;
  return before.some(({ step }) => step === 'Crl') ? 'listed' : 'awaited';
}

/** The steps that the world shows, each with the time at which it was first seen. */
export function revocationSteps(
  before: Steps,
  world: { bannedAtBroker: boolean; overriddenAtBroker: boolean; listed: Listed },
  now: string,
): Steps {
  const shown = [
    'Ledger',
    ...(world.bannedAtBroker ? ['Broker'] : []),
    ...(world.bannedAtBroker && !world.overriddenAtBroker ? ['Rights'] : []),
    ...(listedSince(before, world.listed) === 'listed' ? ['Crl'] : []),
  ];
  return shown.map((step) => ({ step, at: before.find((old) => old.step === step)?.at ?? now }));
}
