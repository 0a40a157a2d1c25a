// The one way into the spool, and so off the site: what has a type that the segment's policy lets go now, fits the schema of what may leave, and names devices
// as the policy says. Everything else ends here. Pure.
import {
  type EgressMessage,
  type EgressType,
  egressProblem,
  LEAVES_ALWAYS,
  LEAVES_AT,
  type MessageOf,
  topicOf,
} from '../../../operator/api/egress.ts';
import { egressAt, type GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Output } from '../core/output.ts';
import type { Class } from '../spool/layout.ts';
import type { Entry, Stored } from '../spool/record.ts';

export type Gate = {
  site: string;
  /** Of `<segment>.<site>`, as the policies are now. */
  segment(name: string): GatewaySegment | undefined;
  /** By which the world knows the device; undefined: it is no device of the site (any more). */
  refOf(device: string, pseudonyms: boolean): string | undefined;
};
export type GateCode = 'HR-GW-401' | 'HR-GW-402' | 'HR-GW-403';

const CLASS_OF: Readonly<Record<EgressType, Class>> = {
  ...{ Trend: 'trend', Raw: 'trend', Alert: 'alert' },
  ...{ Security: 'security', Health: 'security', DataLoss: 'security', Erased: 'security' },
};

/** For the spool; or why it stays here. */
export function admit(output: Output, gate: Gate, nowMs: number): Entry | GateCode {
  const { body, device, subject, rev: revision, fromMs, toMs } = output;
  const refused = refusedNow(body.type, output.segment, gate, nowMs);
  if (refused !== undefined) return refused;
  const names = namesOf(output, gate);
  if (names === undefined) return 'HR-GW-403';
  const place = [names.segment ?? 'site', ...(names.device === undefined ? [] : [names.device])];
  const key = `${body.type.toLowerCase()}/${place.join('/')}/${output.id}`;
  const payload = { ...body, ...names };
  const message = { ...payload, v: 1, site: gate.site, key, rev: revision, fromMs, toMs };
  if (!isMessage(message)) return 'HR-GW-402';
  const narrow = refusedNarrow(message, output.segment, gate);
  if (narrow !== undefined) return narrow;
  return { class: CLASS_OF[body.type], key, subject, device, fromMs, toMs, revision, payload: Buffer.from(JSON.stringify(payload)) };
}

export type Outgoing = { topic: string; payload: string };

/** What of the spool is sent; or why it is not, though it once might have been: a policy was narrowed (types, names, groups), or Raw has ended. */
export function outgoing(stored: Stored, gate: Pick<Gate, 'site' | 'segment'>, nowMs: number): Outgoing | GateCode {
  const { key, revision: rev, fromMs, toMs } = stored;
  const body = stored.lost > 0 ? lossOf(stored) : parsed(stored.payload);
  const message = { ...body, v: 1, site: gate.site, key, rev, fromMs, toMs };
  if (!isMessage(message)) return 'HR-GW-402';
  const segment = 'segment' in message ? `${message.segment}.${gate.site}` : '';
  const refused = refusedNow(message.type, segment, gate, nowMs) ?? refusedNarrow(message, segment, gate);
  return refused ?? { topic: topicOf(message), payload: JSON.stringify(message) };
}

/**
 * It is of fewer devices than the policy has by now, or waits under the name of one and the policy has pseudonyms by now. A pseudonym has no dot. What is erased is
 * erased under its name too.
 */
function refusedNarrow(message: EgressMessage, segment: string, gate: Pick<Gate, 'segment'>): GateCode | undefined {
  const policy = gate.segment(segment);
  const isNamed = message.type !== 'Erased' && 'device' in message && message.device?.includes('.') === true;
  const isFew = message.type === 'Trend' && message.devices < (policy?.minGroup ?? Number.POSITIVE_INFINITY);
  return isFew || (isNamed && policy?.pseudonyms !== false) ? 'HR-GW-401' : undefined;
}

function refusedNow(type: EgressType, segment: string, gate: Pick<Gate, 'segment'>, nowMs: number): GateCode | undefined {
  if (LEAVES_ALWAYS.includes(type)) return undefined;
  const policy = gate.segment(segment);
  if (policy === undefined) return 'HR-GW-403';
  return LEAVES_AT[egressAt(policy, nowMs)].includes(type) ? undefined : 'HR-GW-401';
}

function namesOf({ segment, device }: Output, { site, segment: policyOf, refOf }: Gate): { segment?: string; device?: string } | undefined {
  const ref = device === '' ? undefined : refOf(device, policyOf(segment)?.pseudonyms ?? true);
  if (device !== '' && ref === undefined) return undefined;
  return {
    ...(segment === '' ? {} : { segment: segment.slice(0, -site.length - 1) }),
    ...(ref === undefined ? {} : { device: ref }),
  };
}

const REASONS: readonly MessageOf<'DataLoss'>['reason'][] = ['bound', 'expired', 'damage'];

const isMessage = (value: object): value is EgressMessage => egressProblem(value) === undefined;

function lossOf({ class: of, subject, lost }: Stored): Pick<MessageOf<'DataLoss'>, 'type' | 'class' | 'reason' | 'count'> {
  const reason = REASONS.find((one) => one === subject) ?? 'unknown';
  return { type: 'DataLoss', class: of, reason, count: lost };
}

function parsed(payload: Uint8Array): object {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
