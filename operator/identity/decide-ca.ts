// A certificate of a CA that the broker does not trust yet would lock its device out. Pure.
import { current, type Decision, type Input, wait } from './decide.ts';
import type { RequestFacts } from './request-facts.ts';

/** EMQX takes a bundle in well under a second. */
const AGAIN_MS = 1_000;

/**
 * What comes before the certificate of this request is recorded, and so handed out: its CA in the bundle, and the broker with that bundle. Only a device with a valid
 * certificate waits for the broker: one without has nothing to lose, and would be no better off without the new one.
 */
export function untrustedCa(input: Input, request: RequestFacts): Decision | undefined {
  const trust = input.trust(request);
  if (trust === 'new') return { do: 'announce', request };
  return trust === 'waiting' && current(input) !== undefined ? wait(input, 'HR-ID-090', AGAIN_MS) : undefined;
}

/** For a certificate that cert-manager has handed out already. */
export function unannouncedCa(input: Input, request: RequestFacts): Decision | undefined {
  return input.trust(request) === 'new' ? { do: 'announce', request } : undefined;
}
