// A Device that moved: what becomes of its certificates of other segments. Pure.
import { type Decision, type Input, isValid } from './decide.ts';

/**
 * Revoked as `Moved` once a certificate of the segment is in use, so that none of them brings the old segment back (design/api.md, segment move).
 * Not one that was issued after the certificate in use: the device may have thrown the older key away and be about to connect with that one.
 */
export function decideMoved(input: Input): Decision | undefined {
  const { device, now } = input;
  const segment = device.subject?.organizationalUnit;
  const living = input.ofDevice.filter((entry) => entry.deviceUid === device.uid && entry.revoked === undefined);
  const used = living.find((entry) => entry.md5 === input.connectedWith && entry.segment === segment && isValid(entry, now));
  if (used === undefined) return undefined;
  // Also an expired one that the ledger still has: within the offlineBudget it could re-enrol.
  const left = living.filter((entry) => entry.segment !== segment && Date.parse(entry.notBefore) <= Date.parse(used.notBefore));
  return left.length === 0 ? undefined : { do: 'revoke', ids: left.map((entry) => entry.id), reason: 'Moved' };
}
