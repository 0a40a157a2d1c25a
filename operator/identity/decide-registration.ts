// Whether a device becomes a Device by itself. Pure: a request of the EST server and what is known around it come in, one step goes out.
// The EST server has looked at most of this before. It is looked at again, from the certificates themselves: that process talks with strangers.
import type { Device } from '../api/device.ts';
import { isFromEst, keyRefusal, verdictOf } from './decide-est.ts';
import type { DeviceFacts } from './device-facts.ts';
import { type EnrollmentPolicy, matchesAnyPattern } from './enrollment-policy.ts';
import { explain, type IdentityCode, reasonOf } from './errors.ts';
import type { LedgerEntry, PendingEntry } from './ledger-entry.ts';
import { type FactoryIdentity, proposedManifest, registeredDevice, registeredName } from './registered-device.ts';
import { renewAt } from './renewal.ts';
import type { RequestFacts } from './request-facts.ts';
import { timesListed } from './serial-list.ts';
import type { ReadLists } from './serial-lists.ts';

export type RegistrationInput = {
  now: number;
  request: RequestFacts;
  /** Who the request's certificates prove the device to be. */
  identity: FactoryIdentity | undefined;
  est: string | undefined;
  ledger: { synced: boolean; problem: string | undefined };
  /** The SegmentPolicy that the request names, as it is now. */
  policy: EnrollmentPolicy | undefined;
  lists: ReadLists;
  /** Where devices of this policy get their certificates, `<kind>/<namespace>/<name>`. */
  issuer: string;
  /** The Device of the name that the request is for. */
  named: DeviceFacts | undefined;
  /** Devices of the namespace with a serial number. */
  withSerial: (serial: string) => DeviceFacts[];
  /** How many Devices there are that this policy made. */
  registered: number;
  /** The Device that would be made, as this room sees it. */
  factsOf: (device: Device) => DeviceFacts;
  ofKey: (spki: string) => LedgerEntry[];
  pendingOfKey: (spki: string) => PendingEntry | undefined;
  claimantOfKey: (spki: string) => string | undefined;
  keyInFlight: (spki: string) => string | undefined;
};

export type RegistrationDecision =
  | { do: 'register'; device: Device }
  | { do: 'deny'; code: IdentityCode; message: string }
  /** Its Device is gone, or never was: nobody else tidies it up. */
  | { do: 'delete' }
  | { do: 'wait'; afterMs: number }
  | { do: 'nothing' };

/** So long the device that asked again is told the same; then it is looked at anew, whatever a person did meanwhile. */
const DENIED_KEPT_MS = 60_000;
const LEDGER_WAIT_MS = 1_000;

export function decideRegistration(input: RegistrationInput): RegistrationDecision {
  const { request, named } = input;
  const wanted = request.registers;
  if (wanted === undefined || !isFromEst(input, request)) return { do: 'nothing' };
  // From here on it is an EST request of that Device like any other.
  if (named?.factory?.request === request.uid) return { do: 'nothing' };
  if (request.state !== 'new') return tidyUp(input);
  if (!input.ledger.synced || input.ledger.problem !== undefined) return { do: 'wait', afterMs: LEDGER_WAIT_MS };
  return judge(input, wanted);
}

function tidyUp({ now, request }: RegistrationInput): RegistrationDecision {
  if (request.state !== 'denied' && request.state !== 'failed') return { do: 'delete' };
  const leftMs = Date.parse(request.failedAt ?? request.createdAt) + DENIED_KEPT_MS - now;
  return leftMs <= 0 ? { do: 'delete' } : { do: 'wait', afterMs: leftMs };
}

function judge(input: RegistrationInput, wanted: NonNullable<RequestFacts['registers']>): RegistrationDecision {
  const { request, identity, policy } = input;
  const ref = { name: wanted.device, namespace: request.namespace, segment: wanted.segment };
  if (identity === undefined || registeredName(identity, ref.namespace) !== ref.name || !isProofOf(request, identity))
    return deny('HR-ID-080');
  if (policy?.justInTime === undefined) return deny('HR-ID-081', `SegmentPolicy ${wanted.segment} takes no device without a manifest`);
  if (!policy.pinned.includes(identity.ca))
    return deny('HR-ID-082', `spec.enrollment.manufacturerCA.sha256 of SegmentPolicy ${policy.name} does not hold ${identity.ca}`);
  const device = registeredDevice(ref, identity, request.uid);
  const facts = input.factsOf(device);
  const verdict = verdictOf(facts, input.issuer, request);
  if (typeof verdict === 'string') return said(verdict);
  return (
    listed(input, policy, identity, ref) ??
    taken(input, facts, identity) ??
    full(input, policy) ??
    keyTaken(input, facts, verdict.spki) ?? { do: 'register', device }
  );
}

function isProofOf({ est }: RequestFacts, { ca, factoryKey }: FactoryIdentity): boolean {
  return est?.how === 'Manufacturer' && est.ca === ca && est.key === factoryKey;
}

/** On exactly one place of the lists, and with nobody to be asked. */
function listed(
  { lists }: RegistrationInput,
  policy: EnrollmentPolicy,
  identity: FactoryIdentity,
  ref: { name: string; namespace: string; segment: string },
): RegistrationDecision | undefined {
  const { serial } = identity;
  if ('problem' in lists) return deny('HR-ID-088', lists.problem);
  const times = timesListed(lists.lists, serial);
  if (times > 1) return deny('HR-ID-084', `serial number ${serial} stands ${times} times on the lists of SegmentPolicy ${policy.name}`);
  if (times === 0 && !matchesAnyPattern(policy, serial))
    return deny('HR-ID-083', `serial number ${serial} is on no list of SegmentPolicy ${policy.name}`);
  if (times === 1 && policy.justInTime?.approval === 'Auto') return undefined;
  const cure = `if it is yours: echo '${proposedManifest(ref, identity)}' | kubectl apply -f -`;
  return deny('HR-ID-086', `the device with serial number ${serial} waits for a person`, cure);
}

/** The identity, by its name, or the serial number, by whoever had it first. */
function taken(input: RegistrationInput, facts: DeviceFacts, identity: FactoryIdentity): RegistrationDecision | undefined {
  const { named } = input;
  if (named !== undefined) {
    const same = named.factory?.ca === identity.ca && named.serial === identity.serial;
    const who =
      same && named.factory?.key !== identity.factoryKey ? 'stands for another factory certificate with this serial number' : 'exists';
    return deny('HR-ID-085', `Device ${named.key} ${who}`);
  }
  const [other] = input.withSerial(identity.serial).filter(({ factory }) => factory?.ca === undefined || factory.ca === facts.factory?.ca);
  return other === undefined ? undefined : deny('HR-ID-030', `Device ${other.key} has the same serial number and was first`);
}

function full({ registered }: RegistrationInput, policy: EnrollmentPolicy): RegistrationDecision | undefined {
  const maximum = policy.justInTime?.maximum ?? 0;
  if (registered < maximum) return undefined;
  return deny('HR-ID-087', `SegmentPolicy ${policy.name} has made ${registered} Devices, spec.enrollment.maximum is ${maximum}`);
}

function keyTaken(input: RegistrationInput, device: DeviceFacts, spki: string): RegistrationDecision | undefined {
  const refusal = keyRefusal({
    now: input.now,
    device,
    entries: input.ofKey(spki),
    pending: input.pendingOfKey(spki),
    claimant: input.claimantOfKey(spki),
    inFlight: input.keyInFlight(spki),
    opensAt: (entry) => renewAt(entry, device),
  });
  return refusal === undefined ? undefined : deny(refusal.code, refusal.found);
}

function deny(code: IdentityCode, found?: string, cure?: string): RegistrationDecision {
  return { do: 'deny', code, message: explain(code, found, cure) };
}

/** What another table says already, with its code. */
function said(message: string): RegistrationDecision {
  return { do: 'deny', code: message.slice(0, 9) as IdentityCode, message };
}

export type EnrollmentState = { status: 'True' | 'False'; reason: string; message: string };

/** The condition EnrollmentOpen of a SegmentPolicy. No number is in it but the limit: it changes when a state does. */
export function enrollmentState(
  policy: EnrollmentPolicy,
  lists: ReadLists,
  registered: number,
  est: string | undefined,
): EnrollmentState | undefined {
  const terms = policy.justInTime;
  if (terms === undefined) return undefined;
  const shut = (code: IdentityCode, found?: string): EnrollmentState => ({
    status: 'False',
    reason: reasonOf(code),
    message: explain(code, found),
  });
  if (est === undefined) return shut('HR-ID-064');
  if ('problem' in lists) return shut('HR-ID-088', lists.problem);
  if (terms.approval === 'Manual')
    return {
      status: 'False',
      reason: reasonOf('HR-ID-086'),
      message: 'a person makes the Device of each device; Events show the manifests',
    };
  if (registered >= terms.maximum) return shut('HR-ID-087', `spec.enrollment.maximum is ${terms.maximum}`);
  return { status: 'True', reason: 'Open', message: 'devices whose serial numbers are listed become Devices by themselves' };
}
