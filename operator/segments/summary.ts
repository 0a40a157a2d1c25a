// What is known of one SegmentPolicy, folded into its status. Pure: no I/O, no clock.
import type { Condition } from '../api/meta.ts';
import type { SegmentPolicySpec, SegmentPolicyStatus } from '../api/segment-policy.ts';
import type { Exclusion } from '../broker/broker.ts';
import type { Standing } from '../probe/probe.ts';
import { findCondition, setCondition } from '../runtime/conditions.ts';
import { explain, type Finding, reasonOf } from './errors.ts';
import type { Gap } from './gaps.ts';
import type { GatewayStanding } from './gateway-site.ts';
import type { Verdict } from './model.ts';
import type { ReachStatus } from './pairs.ts';

export type SummaryInput = {
  generation: number;
  spec: SegmentPolicySpec;
  status: SegmentPolicyStatus | undefined;
  verdict: Verdict;
  /** With mode: Audit what would be, if it were enforced; otherwise the same as `verdict`. */
  compiled: Verdict;
  /** What became of the NetworkPolicies: all as wanted, or why not. */
  network: { policies: number; refused?: Finding };
  /** The broker's text denies the segment: why. */
  excluded: Exclusion | undefined;
  /** Whether the gateway of the site was told. */
  gateway: GatewayStanding;
  /** What was tried at the broker. */
  probe: Standing;
  /** What was tried in the network, for every pod alike. */
  networkProbe: Standing;
  devices: number;
  /** Who may come in without a manifest; `unknown` = not looked yet. */
  enrollment: EnrollmentView | 'unknown' | undefined;
  pods: number;
  gaps: Gap[];
  reach: ReachStatus;
  now: string;
};

export type EnrollmentView = { status: Condition['status']; reason: string; message: string; registered: number };

export const ENROLLMENT_OPEN = 'EnrollmentOpen';
export const RAW_EGRESS = 'RawEgress';

type Said = { status: Condition['status']; reason: string; message: string };

export function summarise(input: SummaryInput): SegmentPolicyStatus {
  const said: readonly (readonly [type: string, said: Said | undefined])[] = [
    ['Accepted', accepted(input)],
    ['Compiled', compiled(input)],
    ['Enforced', enforced(input)],
    ['Conflicted', conflicted(input)],
    ['GapsPresent', gapsPresent(input)],
    [ENROLLMENT_OPEN, enrollmentOpen(input)],
    [RAW_EGRESS, rawEgress(input)],
    ['Ready', ready(input)],
    ['Reconciling', reconciling(input)],
    ['Stalled', stalled(input)],
  ];
  let conditions: Condition[] = (input.status?.conditions ?? []).filter((old) =>
    said.some(([type, what]) => type === old.type && what !== undefined),
  );
  for (const [type, what] of said)
    if (what !== undefined) conditions = setCondition(conditions, { type, ...what, observedGeneration: input.generation }, input.now);
  const { segment } = input.compiled;
  const remembered =
    input.verdict.refused.length === 0 && !input.verdict.audited
      ? { generation: input.generation, spec: input.spec }
      : input.status?.accepted;
  return {
    observedGeneration: input.generation,
    conditions,
    ...(remembered === undefined ? {} : { accepted: remembered }),
    counts: {
      devices: input.devices,
      ...registered(input),
      pods: input.pods,
      conduits: segment === undefined ? 0 : segment.outgoing.length + segment.outside.length,
      networkPolicies: input.network.policies,
      brokerRules:
        segment === undefined || input.excluded !== undefined ? 0 : segment.rights.publish.length + segment.rights.subscribe.length,
    },
    reach: input.reach,
    ...(input.gaps.length === 0 ? {} : { gaps: input.gaps }),
  };
}

function accepted({ verdict }: SummaryInput): Said {
  const [first] = verdict.refused;
  if (first === undefined) return yes('Accepted', 'the policy is accepted');
  return no(reasonOf(first.code), `${allOf(verdict.refused)}; ${instead(verdict)}`);
}

function instead({ segment, audited }: Verdict): string {
  if (segment !== undefined) return `generation ${segment.generation} stays in force`;
  return audited
    ? 'nothing is in force: its devices are denied, its pods are as they were'
    : 'nothing is in force: its devices and pods are denied';
}

function compiled({ compiled: verdict }: SummaryInput): Said {
  const { segment, missing, expired, partly } = verdict;
  if (segment === undefined) return no(firstReason(verdict.refused), 'there is nothing to compile');
  const [first] = missing;
  if (first !== undefined) return no(reasonOf(first.code), allOf(missing));
  const over = expired.length === 0 ? '' : `; expired: ${expired.join(', ')}`;
  const some = partly
    .slice(0, MOST)
    .map((sentence) => `; ${sentence}`)
    .join('');
  return yes('Compiled', `${segment.outgoing.length + segment.outside.length} conduits in force${over}${some}`);
}

/** Never more than what was seen: to be applied and read back is not to be enforced. */
function enforced(input: SummaryInput): Said {
  const { verdict, network, excluded, gateway, probe, networkProbe } = input;
  if (network.refused !== undefined) return no(reasonOf(network.refused.code), explain(network.refused));
  if (verdict.audited) return no('AuditOnly', `mode: Audit: this text is not applied; ${instead(verdict)}`);
  if (verdict.segment === undefined) return no(firstReason(verdict.refused), 'nothing of this policy is in force; what it shut stays shut');
  if (excluded !== undefined) return no(excluded.reason, excluded.message);
  if (typeof gateway === 'object') return no(reasonOf(gateway.code), explain(gateway));
  // Without pods there is nothing of it in the network.
  const parts = verdict.segment.workloads.length === 0 ? [probe] : [probe, networkProbe];
  const tried = parts.flatMap((part) => (part.state === 'pending' ? [] : [part]));
  const failed = tried.find(({ state }) => state === 'failed');
  if (failed !== undefined) return no(failed.reason, failed.message);
  if (tried.length < parts.length) return enforcedBefore(input);
  const open = tried.find(({ state }) => state === 'unknown');
  const words = tried.map(({ message }) => message).join(' · ');
  if (open !== undefined) return unknown(open.reason, words);
  return yes('Probed', words);
}

const NOT_PROBED = 'NotProbed';
/** Reasons that only a probe gives. */
const BY_PROBE = ['Probed', 'ProbeFailed', 'NetworkNotProbed', 'NoNodes'];

/** After a restart, and until a change was tried: what stands there holds, if it was said of this generation. */
function enforcedBefore({ status, generation }: SummaryInput): Said {
  const before = findCondition(status?.conditions, 'Enforced');
  if (before?.observedGeneration === generation && BY_PROBE.includes(before.reason)) {
    const { reason, message } = before;
    return { status: before.status, reason, message };
  }
  return unknown(NOT_PROBED, 'it is applied and read back; whether it is enforced is tried within seconds');
}

function conflicted({ compiled: verdict }: SummaryInput): Said {
  if (verdict.conflictsWith.length === 0) return no('NoConflict', 'no pod belongs to another segment too');
  return yes('Conflicted', explain(conflictOf(verdict)));
}

function gapsPresent({ gaps }: SummaryInput): Said {
  const reasons = [...new Set(gaps.map((gap) => gap.reason))];
  return gaps.length === 0
    ? no('NoGaps', 'all of it can be enforced here')
    : yes(reasons[0] ?? 'Gaps', `see status.gaps: ${reasons.join(', ')}`);
}

function enrollmentOpen({ enrollment, status }: SummaryInput): Said | undefined {
  if (enrollment === undefined) return undefined;
  if (enrollment !== 'unknown') return { status: enrollment.status, reason: enrollment.reason, message: enrollment.message };
  // After a restart: what stands there holds until it was looked at.
  const before = findCondition(status?.conditions, ENROLLMENT_OPEN);
  return before === undefined ? undefined : { status: before.status, reason: before.reason, message: before.message };
}

/** Of the text in force: what is only audited opens nothing. */
function rawEgress({ verdict }: SummaryInput): Said | undefined {
  const raw = verdict.segment?.raw;
  if (raw === undefined) return undefined;
  const end = new Date(raw.endMs).toISOString();
  return raw.open
    ? yes('RawEgressOpen', `raw data of its devices may leave the site until ${end}: ${raw.justification}`)
    : no('RawEgressOver', `since ${end} no raw data leave the site; spec.egress counts as Aggregates`);
}

function registered({ enrollment, status }: SummaryInput): { registered?: number } {
  if (enrollment === undefined) return {};
  const number = enrollment === 'unknown' ? status?.counts?.registered : enrollment.registered;
  return number === undefined ? {} : { registered: number };
}

function ready(input: SummaryInput): Said {
  const { audited } = input.verdict;
  const parts = [accepted(input), ...(audited ? [] : [enforced(input)]), compiled(input)];
  // What nobody has tried is no reason to wait: it stands in Enforced.
  for (const part of parts) if (part.status === 'False') return part;
  if (input.compiled.conflictsWith.length > 0) return no('Conflicted', explain(conflictOf(input.compiled)));
  // What is asked for is a report, and here it is: whoever waits for the object may go on.
  return audited ? yes('Audited', `${compiled(input).message}; ${enforced(input).message}`) : yes('Ready', compiled(input).message);
}

/** Somebody else can make it go on: the other side of a conduit, the API server. */
function reconciling({ compiled: verdict, network }: SummaryInput): Said | undefined {
  if (verdict.refused.length > 0) return undefined;
  const waiting = [
    ...(network.refused === undefined ? [] : [network.refused]),
    ...verdict.missing.filter((finding) => !isOwnFault(finding)),
  ];
  const [first] = waiting;
  return first === undefined || verdict.missing.some(isOwnFault) ? undefined : yes(reasonOf(first.code), allOf(waiting));
}

/** Only a change of this manifest, of the namespace's label or of a pod's labels helps. */
function stalled({ compiled: verdict }: SummaryInput): Said | undefined {
  const own = [...verdict.refused, ...verdict.missing.filter(isOwnFault)];
  const [first] = own;
  if (first !== undefined) return yes(reasonOf(first.code), allOf(own));
  return verdict.conflictsWith.length === 0 ? undefined : yes('Conflicted', explain(conflictOf(verdict)));
}

const isOwnFault = ({ code }: Finding): boolean => code === 'HR-SEG-013' || code === 'HR-SEG-014';

function conflictOf(verdict: Verdict): Finding {
  return { code: 'HR-SEG-015', path: 'spec.workloads', found: `pods of this segment belong to ${verdict.conflictsWith.join(', ')} too` };
}

/** Conditions stay readable: the first five, and how many there are. */
const MOST = 5;
function allOf(findings: readonly Finding[]): string {
  const more = findings.length > MOST ? ` (and ${findings.length - MOST} more)` : '';
  return findings.slice(0, MOST).map(explain).join(' · ') + more;
}

const firstReason = ([first]: readonly Finding[]): string => (first === undefined ? 'NotAccepted' : reasonOf(first.code));
const yes = (reason: string, message: string): Said => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Said => ({ status: 'False', reason, message });
const unknown = (reason: string, message: string): Said => ({ status: 'Unknown', reason, message });
