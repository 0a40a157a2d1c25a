// What the rooms said about one Device, folded into its status. Pure: no I/O, no clock. The only writer of a Device's conditions.
import type { DeviceStatus } from '../api/device.ts';
import type { Condition } from '../api/meta.ts';
import type { Authorization } from '../broker/broker.ts';
import { setCondition } from '../runtime/conditions.ts';
import type { Outcome } from '../runtime/outcome.ts';

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
  };
  segmented: Verdict;
  authorization: Authorization;
  /** Whether the broker was seen to hold the ban of this client id. */
  bannedAtBroker: boolean;
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
    ['Quarantined', effective.lifecycle === 'Quarantined' ? quarantined(input) : undefined],
    ['Revoked', effective.lifecycle === 'Revoked' ? revoked(input) : undefined],
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
    ...(input.identity.certificate === undefined ? {} : { certificate: input.identity.certificate }),
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
  if (effective.lifecycle === 'Revoked')
    return input.bannedAtBroker ? undefined : yes('Revoking', 'waiting until the broker shows the ban');
  return authorized.status === 'Unknown' ? yes(authorized.reason, authorized.message) : undefined;
}

function quarantined(input: SummaryInput): Verdict {
  return input.authorization.state === 'ok'
    ? yes('Quarantined', because(input))
    : { status: 'Unknown', reason: input.authorization.reason, message: input.authorization.message };
}

function revoked(input: SummaryInput): Verdict {
  return input.bannedAtBroker
    ? yes('Revoked', because(input))
    : { status: 'Unknown', reason: 'Revoking', message: `${because(input)}; the ledger says so, the broker has not confirmed the ban yet` };
}

function because({ effective }: SummaryInput): string {
  const by = effective.by === undefined ? 'spec.lifecycle' : effective.by;
  return `${effective.lifecycle} by ${by}${effective.reason === undefined ? '' : `: ${effective.reason}`}`;
}

/** Adds the step that only the broker can report to the steps that identity reports. A step keeps the time it was first seen; times are history, never a reason to skip work. */
function withSteps(input: SummaryInput): DeviceStatus['identity'] | undefined {
  const identity = input.identity.identity ?? input.status?.identity;
  if (identity === undefined || input.effective.lifecycle !== 'Revoked') return identity;
  const before = input.status?.identity?.revocationSteps ?? [];
  const steps = ['Ledger', ...(input.bannedAtBroker ? ['Broker'] : [])].map((step) => ({
    step,
    at: before.find((old) => old.step === step)?.at ?? input.now,
  }));
  return { ...identity, revokedAt: identity.revokedAt ?? input.now, revocationSteps: steps };
}

const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });
