// What a device is told of a message that is not taken: the code of CoAP by which a client decides whether to try again, and ours by which a person finds the cure. Pure.
import { ERRORS, type GatewayCode } from '../errors.ts';
import type { Verdict } from './connection.ts';
import { CODE } from './message.ts';

/** What is not in here is a state of the gateway, not of the message: 5.03, to be tried again. 4.09 and 4.22: RFC 8132 §5. */
const CODES: Partial<Record<GatewayCode, number>> = {
  ...{ 'HR-GW-201': CODE.BAD_REQUEST, 'HR-GW-306': CODE.BAD_REQUEST },
  ...{ 'HR-GW-202': CODE.CONFLICT, 'HR-GW-203': CODE.CONFLICT, 'HR-GW-204': CODE.CONFLICT },
  ...{ 'HR-GW-205': CODE.CONFLICT, 'HR-GW-206': CODE.CONFLICT },
  ...{ 'HR-GW-302': CODE.FORBIDDEN, 'HR-GW-303': CODE.FORBIDDEN, 'HR-GW-304': CODE.FORBIDDEN },
  ...{ 'HR-GW-305': CODE.TOO_LARGE, 'HR-GW-307': CODE.UNPROCESSABLE, 'HR-GW-308': CODE.UNPROCESSABLE },
};

/** `refused`: undefined when the message is on disk. */
export function verdictOf(refused: GatewayCode | undefined): Verdict {
  if (refused === undefined) return { code: CODE.CHANGED, says: '' };
  return { code: CODES[refused] ?? CODE.UNAVAILABLE, says: `${refused} ${ERRORS[refused].title}` };
}
