// What a Rotate asks for beside a renewal: keys that are in other hands are given up, and what is late is said. Pure.
import type { Answer, Decision, Input } from './decide.ts';
import { unrecordedOwn } from './decide-csr.ts';
import { estRequests, isRenewedByEst, unrecordedEst } from './decide-est.ts';
import { unrecorded } from './decide-managed.ts';
import { explain } from './errors.ts';
import { isGraver, isKeyRevoked, type LedgerEntry } from './ledger-entry.ts';
import { isBefore, opensAt, overdueAt } from './renewal.ts';
import type { RequestFacts } from './request-facts.ts';
import { readCertificate } from './x509.ts';

/** The next step of giving up the keys that a Device had when a Rotate with `compromised` was created; undefined = all are given up. */
export function decideCompromised(input: Input): Decision | undefined {
  const lost = input.rotation?.compromised;
  if (lost === undefined) return undefined;
  const signed = unrecordedBefore(input, lost.at);
  if (signed !== undefined) return signed;
  const old = input.ofDevice.filter(
    (entry) => entry.deviceUid === input.device.uid && isGraver('Compromised', entry.revoked) && isBefore(entry, lost.at),
  );
  if (old.length > 0) return { do: 'revoke', ids: old.map((entry) => entry.id), reason: 'Compromised', by: lost.by };
  // Asked for by whoever had the old key, or by the device in the same moment: then it asks again.
  const asked = estRequests(input).find((request) => request.state === 'new' && isOlder(request, lost.at));
  return asked === undefined ? undefined : { do: 'delete', request: asked };
}

/** What was signed and not recorded yet is recorded, so that the revocation finds it. Of the operator's own requests only one for a key that is given up: others are checked first. */
function unrecordedBefore(input: Input, at: string): Decision | undefined {
  const older = { ...input, requests: input.requests.filter((request) => isOlder(request, at)) };
  const own = older.requests.filter((request) =>
    isKeyRevoked(input.ofKey(readCertificate(request.certificate ?? '')?.spki ?? ''), input.device.uid),
  );
  const step = (input.device.enrollment === 'Managed' ? unrecorded(older) : unrecordedOwn(older, own)) ?? unrecordedEst(older);
  return step?.do === 'record' ? step : undefined;
}

const isOlder = (request: RequestFacts, at: string): boolean => Date.parse(request.createdAt) <= Date.parse(at);

/** Whether the key of the manifest's request has given way to one by EST: that certificate ran out or was revoked, and it is no wish to go back to a key from before. */
export function hasGivenWay({ device, ofDevice }: Input): boolean {
  const key = device.csr?.spki;
  if (key === undefined) return false;
  if (device.replacedKey === key) return true;
  return ofDevice.some((entry) => entry.deviceUid === device.uid && entry.spki !== key && isRenewedByEst(entry, key));
}

/** When a Device is to be looked at because its renewal is late, and what is said from then on. */
export type Renewal = { overdueAt: number; overdue: string | undefined };

export function renewalOf(input: Input, answer: Pick<Answer, 'entry' | 'outcome'>): Renewal | undefined {
  const { entry } = answer;
  if (entry === undefined || entry.revoked !== undefined || input.lifecycle === 'Revoked') return undefined;
  const opens = opensAt(entry, input.device, input.rotation);
  const late = overdueAt(opens, entry);
  return { overdueAt: late, overdue: input.now < late ? undefined : overdueText(input, answer, entry, opens) };
}

function overdueText(input: Input, { outcome }: Pick<Answer, 'outcome'>, entry: LedgerEntry, opens: number): string {
  const found = `certificate ${entry.serial} ends at ${entry.notAfter}, was to be renewed at ${new Date(opens).toISOString()}`;
  const { name, enrollment } = input.device;
  // Only the reason: the words of a retry change with every try.
  if (outcome.kind === 'stalled') return explain('HR-ID-066', `${found}, and cannot be: ${outcome.reason}`, 'see condition Stalled');
  if (enrollment === 'EST' || enrollment === 'Existing' || entry.via === 'EST')
    return explain('HR-ID-066', `${found}, and the device did not re-enrol by EST`, 'see that it runs and reaches the EST server');
  if (outcome.kind === 'waiting') return explain('HR-ID-066', `${found}, and waits: ${outcome.reason}`, 'see condition Reconciling');
  if (enrollment === 'Managed')
    return explain('HR-ID-066', `${found}, and cert-manager did not renew it`, `see kubectl describe certificate ${name}`);
  return explain('HR-ID-066', `${found}, and was not`);
}
