// What of a status is worth an Event: trouble and what somebody did, once each. A certificate that simply came is not news (it would double the writes of a fleet). Pure.
import type { Condition } from '../api/meta.ts';
import { findCondition } from '../runtime/conditions.ts';
import type { EventNote } from '../runtime/events.ts';

/** The reason of an Event equals that of its condition. */
export function newsOf(before: readonly Condition[] | undefined, after: readonly Condition[] | undefined): EventNote[] {
  return WORTH_TELLING.flatMap(({ type, action }): EventNote[] => {
    const then = findCondition(before, type);
    const now = findCondition(after, type);
    if (now?.status !== 'True' || (then?.status === 'True' && then.reason === now.reason)) return [];
    return [{ type: 'Warning', reason: now.reason, message: now.message, action }];
  });
}

const WORTH_TELLING = [
  { type: 'Stalled', action: 'Reconcile' },
  { type: 'Revoked', action: 'Revoke' },
  { type: 'Quarantined', action: 'Quarantine' },
  { type: 'OutOfTouch', action: 'Watch' },
  { type: 'LimitExceeded', action: 'Watch' },
  { type: 'RenewalOverdue', action: 'Renew' },
  { type: 'SupersededCertificateUsed', action: 'Renew' },
  { type: 'CertificateCopied', action: 'Ban' },
] as const;
