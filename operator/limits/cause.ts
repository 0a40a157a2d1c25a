// Why a device would go to quarantine without a person: what was seen of it, in words, and what of the policy asks for it. Pure.
import type { Ask } from '../api/gateway-asks.ts';
import type { Over } from './meter.ts';

export type Cause = {
  /** As Rules.triggers has it. */
  trigger: string;
  /** The evidence. */
  seen: string;
  /** The device … and is not quarantined. */
  stands: string;
  /** Of the SegmentPolicy. */
  field: string;
  /** Found by what the broker counts. */
  isLimit: boolean;
};

export function causeOfOver(over: Over): Cause {
  const isDenials = over.limit === 'denials';
  return {
    trigger: isDenials ? 'AuthorizationDenials' : 'LimitExceeded',
    seen: sentence(over),
    stands: `is above ${isDenials ? `${over.allowed} denials` : `limits.${over.limit} ${over.allowed}`}`,
    field: 'spec.quarantine.triggers',
    isLimit: true,
  };
}

/** Of what the gateway of its site says. */
export function causeOfAsk({ trigger, count, overMs }: Ask): Cause {
  const messages = count === 1 ? '1 message' : `${count} messages`;
  const of = trigger === 'ReplayDetected' ? 'of a recording' : 'against the schema';
  const seen = `sent ${messages} ${of} within ${Math.ceil(overMs / 1000)} s, says the gateway of the site`;
  const field = trigger === 'SchemaViolated' ? 'spec.payload.onViolation' : 'spec.quarantine.triggers';
  return { trigger, seen, stands: seen, field, isLimit: false };
}

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
