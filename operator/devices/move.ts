// How far a Device is on its way into another segment: what its status says while one of its certificates still names another. Pure.
import type { DeviceStatus } from '../api/device.ts';
import type { Condition } from '../api/meta.ts';
import type { LedgerEntry } from '../identity/identity.ts';
import { findCondition } from '../runtime/conditions.ts';
import { type BrokerDevice, ofOtherSegments } from './desired.ts';

export type MoveInput = Pick<BrokerDevice, 'uid' | 'segment' | 'lifecycle'> & {
  enrollment: 'CSR' | 'EST' | 'Managed' | 'Existing';
  /** Of this Device's name. */
  entries: readonly LedgerEntry[];
  /** What the broker was seen to hold for this client alone, and with which certificate it is connected. */
  ownRules: { held: boolean; durable: boolean; connectedWith: string | undefined };
  /** Whether the broker was seen to hold the ban of this certificate. */
  banned(md5: string): boolean;
  /** The broker has confirmed what the manifest says: rules, caches and subscriptions. */
  confirmed: boolean;
  before: DeviceStatus | undefined;
  now: string;
};

export type Move = NonNullable<DeviceStatus['move']>;
type Verdict = { status: Condition['status']; reason: string; message: string };

export const SEGMENT_IN_CERTIFICATE = 'SegmentInCertificate';
/** In the order in which they are taken. */
const STEPS = ['RightsMoved', 'CertificateIssued', 'CertificateInUse', 'OldCertificatesOver', 'Done'] as const;

/** The condition is left out when every certificate that counts names the segment. The steps of the last move stay in the status. */
export function moveOf(input: MoveInput): { condition: Verdict | undefined; move: Move | undefined } {
  const said = findCondition(input.before?.conditions, SEGMENT_IN_CERTIFICATE) !== undefined;
  const others = ofOtherSegments(input, input.entries);
  if (input.lifecycle === 'Revoked' || (others.length === 0 && !said)) return { condition: undefined, move: input.before?.move };
  const own = input.entries.filter((entry) => isInForce(entry, input) && entry.segment === input.segment);
  const over = others.length === 0 && input.entries.every((entry) => isBarred(entry, input));
  const { held, durable, connectedWith } = input.ownRules;
  // What kept the old certificates from their rights goes last, when their bans were seen (broker/pass.ts). In quarantine other rules take its place.
  const done = over && durable && !(input.lifecycle === 'Active' && held);
  const seen: Record<(typeof STEPS)[number], boolean> = {
    // Not earlier: a broker that is killed would forget it, and what was reported must hold.
    RightsMoved: input.confirmed && durable,
    CertificateIssued: own.length > 0,
    CertificateInUse: own.some((entry) => entry.md5 === connectedWith),
    OldCertificatesOver: over,
    Done: done,
  };
  const move = { ...ends(input, others, said), steps: steps(input, seen, said) };
  return { condition: done ? undefined : { status: 'False', ...next(input, others, seen) }, move };
}

function next(input: MoveInput, others: readonly LedgerEntry[], seen: Record<(typeof STEPS)[number], boolean>): Omit<Verdict, 'status'> {
  const { segment } = input;
  const old = segmentsOf(others).join(', ');
  if (others.length === 0)
    return {
      reason: 'OldCertificatesGoing',
      message: 'no certificate of another segment is left in force; the rules of its own go when the broker has shown the bans',
    };
  if (seen.CertificateInUse)
    return {
      reason: 'YoungerCertificateOut',
      message: `a certificate of ${segment} is in use, but the device may still change to a younger one of ${old}: that one stays without the rights of ${old}, until it expires or a younger one of ${segment} is in use`,
    };
  if (seen.CertificateIssued)
    return {
      reason: 'UseAwaited',
      message: `a certificate of ${segment} is there; those of ${old} are revoked when the broker shows it in use`,
    };
  return { reason: 'CertificateAwaited', message: `its certificates name ${old}; ${HOW[input.enrollment](segment)}` };
}

const HOW: Record<MoveInput['enrollment'], (segment: string) => string> = {
  CSR: (segment) => `put a request of a new key with OU=${segment} into spec.identity.csr, or let the device re-enrol by EST`,
  EST: (segment) => `the device gets one of ${segment} when it re-enrols: with a new key at once, with the same key in its renewal window`,
  Managed: (segment) => `cert-manager issues one of ${segment}`,
  Existing: (segment) => `the device gets one of ${segment} when it re-enrols by EST`,
};

/** Moved back before anything was issued, no certificate tells where the Device was: its status does. */
function ends({ segment, before }: MoveInput, others: readonly LedgerEntry[], said: boolean): Pick<Move, 'from' | 'to'> {
  const known = said ? before?.move : undefined;
  if (known?.to === segment) return { from: known.from, to: segment };
  const from = new Set([...segmentsOf(others), ...(known === undefined ? [] : [known.to])]);
  return { from: [...from].sort(), to: segment };
}

/** A step keeps the time at which it was first seen; another destination begins anew, and so does the next move to the same one. */
function steps({ segment, before, now }: MoveInput, seen: Readonly<Record<string, boolean>>, said: boolean): Move['steps'] {
  const known = said && before?.move?.to === segment ? before.move.steps : [];
  return STEPS.flatMap((step) => {
    const old = known.find((one) => one.step === step);
    return old !== undefined ? [{ step, at: old.at }] : seen[step] === true ? [{ step, at: now }] : [];
  });
}

const segmentsOf = (entries: readonly LedgerEntry[]): string[] => [...new Set(entries.map((entry) => entry.segment))].sort();

/** Another entry, or one that a move ended and that the broker turns away. */
function isBarred({ md5, deviceUid, revoked, notAfter }: LedgerEntry, { uid, now, banned }: MoveInput): boolean {
  return deviceUid !== uid || revoked?.reason !== 'Moved' || Date.parse(notAfter) <= Date.parse(now) || banned(md5);
}

function isInForce(entry: LedgerEntry, { uid, now }: MoveInput): boolean {
  return entry.deviceUid === uid && entry.revoked === undefined && Date.parse(entry.notAfter) > Date.parse(now);
}
