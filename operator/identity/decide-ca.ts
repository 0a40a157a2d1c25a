// A certificate of a CA that the broker does not trust yet would lock its device out. Pure.
import { current, type Decision, type Input, wait } from './decide.ts';
import type { RequestFacts } from './request-facts.ts';

/** EMQX takes a bundle in well under a second. */
const AGAIN_MS = 500;

/** A broker that is there has the bundle long before; one that is away must not keep a new device waiting for ever. */
const FIRST_WAITS_MS = 10_000;

/**
 * What comes before the certificate of this request is recorded, and so handed out: its CA in the bundle, and the broker with that bundle. A device without a valid
 * certificate has nothing to lose, so it waits for seconds only: long enough that whoever waits for Ready can connect.
 */
export function untrustedCa(input: Input, request: RequestFacts): Decision | undefined {
  const trust = input.trust(request);
  if (trust === 'new') return { do: 'announce', request };
  if (trust !== 'waiting') return undefined;
  const waits = current(input) !== undefined || input.now - Date.parse(request.createdAt) < FIRST_WAITS_MS;
  return waits ? wait(input, 'HR-ID-090', AGAIN_MS) : undefined;
}

/** For a certificate that cert-manager has handed out already. */
export function unannouncedCa(input: Input, request: RequestFacts): Decision | undefined {
  return input.trust(request) === 'new' ? { do: 'announce', request } : undefined;
}
