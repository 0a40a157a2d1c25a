// What follows when a device was found above a limit of its segment. Pure.
import { AUTOMATIC_SUFFIX } from '../api/names.ts';
import type { Spent } from './budget.ts';
import { explain, type LimitCode } from './errors.ts';
import type { Over } from './meter.ts';

export type Situation = {
  device: string;
  segment: string;
  over: Over;
  /** What the segment's policy asks for. */
  triggers: readonly string[];
  lifecycle: 'Active' | 'Quarantined' | 'Revoked';
  /** The Intervention that has the name already, and whether it is ours on this device. */
  standing: 'ours' | 'another' | undefined;
  spent: Spent | undefined;
};

export type Response =
  | { do: 'nothing' }
  | { do: 'tell'; code: LimitCode; message: string }
  | { do: 'quarantine'; name: string; reason: string };

export function respond(situation: Situation): Response {
  const { device, segment, over, triggers, lifecycle, standing, spent } = situation;
  const trigger = triggerOf(over);
  if (!triggers.includes(trigger) || lifecycle !== 'Active' || standing === 'ours') return { do: 'nothing' };
  if (standing === 'another')
    return tell('HR-LIM-002', `${device} is above ${borne(over)} and not quarantined: the name ${quarantineName(device)} is taken`);
  if (spent !== undefined)
    return tell('HR-LIM-001', `${device} is above ${borne(over)} and not quarantined: the budget of its ${spent} is spent`);
  return {
    do: 'quarantine',
    name: quarantineName(device),
    reason: `${trigger}: ${sentence(over)}; spec.quarantine.triggers of SegmentPolicy ${segment}`,
  };
}

/** One name for one cause: what was made and not heard of is found again, whatever killed the process in between. */
export const quarantineName = (device: string): string => `${device}${AUTOMATIC_SUFFIX}`;

/** `sent at least 1500 messages within 30 s, limits.messages is 10/s`. */
export function sentence(over: Over): string {
  const { limit, excess } = over;
  const did = {
    messages: `sent at least ${excess.amount} messages`,
    bytes: `sent at least ${excess.amount} bytes`,
    connectRate: `connected at least ${excess.amount} times`,
    denials: `was denied a topic at least ${excess.amount} times`,
  }[limit];
  return `${did} within ${Math.ceil(excess.overMs / 1000)} s, ${limit === 'denials' ? `${over.allowed} are borne` : `limits.${limit} is ${over.allowed}`}`;
}

const borne = ({ limit, allowed }: Over): string => (limit === 'denials' ? `${allowed} denials` : `limits.${limit} ${allowed}`);

const triggerOf = ({ limit }: Over): string => (limit === 'denials' ? 'AuthorizationDenials' : 'LimitExceeded');

/** The constant word of a limit: reason of the condition LimitExceeded. */
export const wordOf = (limit: Over['limit']): string =>
  ({ messages: 'MessagesAboveLimit', bytes: 'BytesAboveLimit', connectRate: 'ConnectsAboveLimit', denials: 'DenialsAboveLimit' })[limit];

const tell = (code: LimitCode, found: string): Response => ({ do: 'tell', code, message: explain(code, found) });
