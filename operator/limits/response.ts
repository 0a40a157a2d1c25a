// What follows when a device was found above a limit of its segment, or its gateway asks for its quarantine. Pure.
import { AUTOMATIC_SUFFIX } from '../api/names.ts';
import type { Spent } from './budget.ts';
import type { Cause } from './cause.ts';
import { explain, type LimitCode } from './errors.ts';
import type { Over } from './meter.ts';

export type Situation = {
  device: string;
  segment: string;
  cause: Cause;
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
  const { device, segment, cause, triggers, lifecycle, standing, spent } = situation;
  if (!triggers.includes(cause.trigger) || lifecycle !== 'Active' || standing === 'ours') return { do: 'nothing' };
  if (standing === 'another')
    return tell('HR-LIM-002', `${device} ${cause.stands} and is not quarantined: the name ${quarantineName(device)} is taken`);
  if (spent !== undefined)
    return tell('HR-LIM-001', `${device} ${cause.stands} and is not quarantined: the budget of its ${spent} is spent`);
  return {
    do: 'quarantine',
    name: quarantineName(device),
    reason: `${cause.trigger}: ${cause.seen}; ${cause.field} of SegmentPolicy ${segment}`,
  };
}

/** One name for one cause: what was made and not heard of is found again, whatever killed the process in between. */
export const quarantineName = (device: string): string => `${device}${AUTOMATIC_SUFFIX}`;

/** The constant word of a limit: reason of the condition LimitExceeded. */
export const wordOf = (limit: Over['limit']): string =>
  ({ messages: 'MessagesAboveLimit', bytes: 'BytesAboveLimit', connectRate: 'ConnectsAboveLimit', denials: 'DenialsAboveLimit' })[limit];

const tell = (code: LimitCode, found: string): Response => ({ do: 'tell', code, message: explain(code, found) });
