// What the rooms said about one Device, folded into its status. Pure: no I/O, no clock. The only writer of a Device's conditions.
import type { DeviceStatus } from '../api/device.ts';
import type { Condition } from '../api/meta.ts';
import type { Authorization } from '../broker/broker.ts';
import { findCondition, isTrue, setCondition } from '../runtime/conditions.ts';
import type { Outcome } from '../runtime/outcome.ts';
import { firmwareCurrent } from './firmware.ts';
import { SEGMENT_IN_CERTIFICATE } from './move.ts';
import { type Listed, listedSince, revocationSteps } from './revocation.ts';
import type { Touch } from './touch.ts';

type Verdict = { status: 'True' | 'False' | 'Unknown'; reason: string; message: string };
export type Lifecycle = 'Active' | 'Quarantined' | 'Revoked';

export type SummaryInput = {
  generation: number;
  status: DeviceStatus | undefined;
  effective: { lifecycle: Lifecycle; by?: string | undefined; reason?: string | undefined };
  identity: {
    outcome: Outcome;
    certified: Verdict;
    identity?: DeviceStatus['identity'];
    certificate?: string | undefined;
    renewal?: { overdue: string | undefined } | undefined;
  };
  segmented: Verdict;
  certificates: { superseded: Verdict | undefined; copied: Verdict | undefined };
  rotation: DeviceStatus['rotation'];
  authorization: Authorization;
  /** Where it stands in a segment move: a condition only while it is in one. */
  moving: { condition: Verdict | undefined; move: DeviceStatus['move'] };
  /** Whether the broker was seen to hold the ban of this client id. */
  bannedAtBroker: boolean;
  /** Whether the broker was seen to hold rules for this client alone. */
  overriddenAtBroker: boolean;
  /** Whether the certificates are on the lists; asked of revoked Devices only. */
  listed: Listed;
  /** What is wrong with the list of its issuer; `unknown` while nobody has looked. */
  crl: { reason: string; message: string } | 'unknown' | undefined;
  /** What the broker has counted of it, against the limits of its segment; `unknown`: what was said stands. */
  limits: { is: 'unknown' } | { is: 'within' } | { is: 'over'; reason: string; message: string };
  /** Undefined where it is not asked: without an offlineBudget, without a certificate, or revoked. */
  touch: { is: Touch; lastSeen: string | undefined } | undefined;
  /** What is wrong with its boot key. */
  bootKeyInvalid: string | undefined;
  now: string;
};

/** The whole status of the Device. Conditions that would only say "not the case" (Quarantined, Revoked, Reconciling, Stalled) are left out, as kstatus expects. */
export function summarise(input: SummaryInput): DeviceStatus {
  const { effective } = input;
  const authorized = authorizedCondition(input);
  const verdicts: (readonly [type: string, verdict: Verdict | undefined])[] = [
    ['Certified', input.identity.certified],
    ['Authorized', authorized],
    ['Segmented', input.segmented],
    [SEGMENT_IN_CERTIFICATE, input.moving.condition],
    ['Quarantined', effective.lifecycle === 'Quarantined' ? quarantined(input) : undefined],
    ['Revoked', effective.lifecycle === 'Revoked' ? revoked(input) : undefined],
    ['CRLUnavailable', crlUnavailable(input)],
    ['OutOfTouch', outOfTouch(input)],
    ['LimitExceeded', limitExceeded(input)],
    ['RenewalOverdue', overdue(input)],
    ['SupersededCertificateUsed', effective.lifecycle === 'Revoked' ? undefined : input.certificates.superseded],
    ['CertificateCopied', input.certificates.copied],
    ['FirmwareCurrent', firmwareCurrent(input.status?.firmware)],
    ['BootKeyInvalid', input.bootKeyInvalid === undefined ? undefined : yes('BootKeyInvalid', input.bootKeyInvalid)],
    ['Ready', ready(input, authorized)],
    ['Reconciling', reconciling(input, authorized)],
    ['Stalled', stalled(input)],
  ];
  let conditions: Condition[] = (input.status?.conditions ?? []).filter((old) =>
    verdicts.some(([type, verdict]) => type === old.type && verdict !== undefined),
  );
  for (const [type, verdict] of verdicts) {
    if (verdict !== undefined) conditions = setCondition(conditions, { type, ...verdict, observedGeneration: input.generation }, input.now);
  }
  const identity = withSteps(input);
  return {
    observedGeneration: input.generation,
    ...(identity === undefined ? {} : { identity }),
    ...(input.moving.move === undefined ? {} : { move: input.moving.move }),
    ...(input.identity.certificate === undefined ? {} : { certificate: input.identity.certificate }),
    ...(input.rotation === undefined ? {} : { rotation: input.rotation }),
    // Written by others: what stands there stays.
    ...(input.status?.firmware === undefined ? {} : { firmware: input.status.firmware }),
    conditions,
  };
}

function authorizedCondition({ effective, authorization }: SummaryInput): Verdict {
  if (effective.lifecycle === 'Revoked') return no('Revoked', 'the identity is revoked; it has no rights at the broker');
  switch (authorization.state) {
    case 'ok':
      return effective.lifecycle === 'Quarantined'
        ? no('Quarantined', 'only ota/ and recovery/ topics of this device are allowed while it is quarantined')
        : { status: 'True', reason: 'Authorized', message: authorization.message };
    case 'pending':
    case 'unreachable':
      return { status: 'Unknown', reason: authorization.reason, message: authorization.message };
    default:
      return no(authorization.reason, authorization.message);
  }
}

function ready(input: SummaryInput, authorized: Verdict): Verdict {
  const { effective, identity, segmented } = input;
  if (effective.lifecycle !== 'Active') return no(effective.lifecycle, because(input));
  for (const verdict of [identity.certified, segmented, authorized]) {
    if (verdict.status !== 'True') return { ...verdict };
  }
  return { status: 'True', reason: 'Ready', message: 'certified, in its segment, and authorized at the broker' };
}

function stalled({ identity, authorization, effective }: SummaryInput): Verdict | undefined {
  if (identity.outcome.kind === 'stalled') return yes(identity.outcome.reason, identity.outcome.message);
  if (effective.lifecycle !== 'Revoked' && authorization.state === 'foreign') return yes(authorization.reason, authorization.message);
  return undefined;
}

function reconciling(input: SummaryInput, authorized: Verdict): Verdict | undefined {
  const { identity, effective } = input;
  if (identity.outcome.kind === 'stalled') return undefined;
  if (identity.outcome.kind === 'waiting') return yes(identity.outcome.reason, identity.outcome.message);
  if (effective.lifecycle === 'Revoked') return revoking(input);
  return authorized.status === 'Unknown' ? yes(authorized.reason, authorized.message) : undefined;
}

/** The certificate may hold still, so this is beside Ready. */
function overdue({ identity }: SummaryInput): Verdict | undefined {
  const message = identity.renewal?.overdue;
  return message === undefined ? undefined : yes('RenewalOverdue', message);
}

function quarantined(input: SummaryInput): Verdict {
  return input.authorization.state === 'ok'
    ? yes('Quarantined', because(input))
    : { status: 'Unknown', reason: input.authorization.reason, message: input.authorization.message };
}

/** A list that is on its way is waited for, one that nobody makes is not: the ban holds without it. What was said once is not taken back for a list. */
function revoked(input: SummaryInput): Verdict {
  const unknown = (what: string): Verdict => ({ status: 'Unknown', reason: 'Revoking', message: `${because(input)}; ${what}` });
  if (!input.bannedAtBroker) return unknown('the ledger says so, the broker has not confirmed the ban yet');
  const list = onList(input);
  if (list === 'awaited' && !isTrue(input.status?.conditions, 'Revoked'))
    return unknown('the broker holds the ban, the CRL of its issuer does not name its certificate yet');
  const without = list === 'unlisted' ? '; the broker holds the ban, but no CRL names its certificate (CRLUnavailable)' : '';
  return yes('Revoked', `${because(input)}${without}`);
}

function revoking(input: SummaryInput): Verdict | undefined {
  if (!input.bannedAtBroker) return yes('Revoking', 'waiting until the broker shows the ban');
  return onList(input) === 'awaited' ? yes('Revoking', 'waiting until the CRL of its issuer names its certificate') : undefined;
}

const onList = (input: SummaryInput): Listed => listedSince(input.status?.identity?.revocationSteps ?? [], input.listed);

/** Says nothing of Ready: rights and bans do without a list. */
function crlUnavailable({ crl, status }: SummaryInput): Verdict | undefined {
  if (crl !== 'unknown') return crl === undefined ? undefined : yes(crl.reason, crl.message);
  const before = findCondition(status?.conditions, 'CRLUnavailable');
  return before === undefined ? undefined : yes(before.reason, before.message);
}

/** Said once and taken back once, when it is seen. Nothing of Ready: nothing is wrong with what it may do. */
function outOfTouch({ touch, status }: SummaryInput): Verdict | undefined {
  if (touch === undefined || touch.is === 'seen') return undefined;
  const before = findCondition(status?.conditions, 'OutOfTouch');
  if (before !== undefined) return yes(before.reason, before.message);
  if (touch.is !== 'out') return undefined;
  return yes(
    'OutOfTouch',
    `not at the broker for longer than its offlineBudget; last there about ${touch.lastSeen ?? 'an unknown time ago'}`,
  );
}

/** Said once and taken back once, with the figures of the first time. Nothing of Ready: what it may do is another matter. */
function limitExceeded({ limits, status }: SummaryInput): Verdict | undefined {
  const before = findCondition(status?.conditions, 'LimitExceeded');
  if (limits.is === 'within') return undefined;
  if (before !== undefined && (limits.is === 'unknown' || limits.reason === before.reason)) return yes(before.reason, before.message);
  return limits.is === 'unknown' ? undefined : yes(limits.reason, limits.message);
}

function because({ effective }: SummaryInput): string {
  const by = effective.by === undefined ? 'spec.lifecycle' : effective.by;
  return `${effective.lifecycle} by ${by}${effective.reason === undefined ? '' : `: ${effective.reason}`}`;
}

/** Adds the steps that broker and lists show to those that identity reports. */
function withSteps(input: SummaryInput): DeviceStatus['identity'] | undefined {
  const identity = input.identity.identity ?? input.status?.identity;
  if (identity === undefined || input.effective.lifecycle !== 'Revoked') return identity;
  const steps = revocationSteps(input.status?.identity?.revocationSteps ?? [], input, input.now);
  return { ...identity, revokedAt: identity.revokedAt ?? input.now, revocationSteps: steps };
}

const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });
