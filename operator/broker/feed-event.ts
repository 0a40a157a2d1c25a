// What EMQX's rules send of an event. Whoever holds the token may have written it, and a device chooses topics and reasons: nothing of it is believed but what is read here. Pure.
import { WIRE_NAME } from './topic.ts';

export type FeedKind = 'denied' | 'connected' | 'disconnected';
export type FeedEvent = { kind: FeedKind; client: string };

/** As recorded of 5.8.9 and 5.10.4 (events.json). */
const KINDS: Readonly<Record<string, FeedKind>> = {
  'client.check_authz_complete': 'denied',
  'client.connected': 'connected',
  'client.disconnected': 'disconnected',
};

/** Undefined of what is no event that was asked for, about a client with a name of ours. */
export function readEvent(body: string): FeedEvent | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { event, clientid, result } = parsed as Record<string, unknown>;
  const kind = typeof event === 'string' && Object.hasOwn(KINDS, event) ? KINDS[event] : undefined;
  if (kind === undefined || typeof clientid !== 'string' || !WIRE_NAME.test(clientid)) return undefined;
  return kind === 'denied' && result !== 'deny' ? undefined : { kind, client: clientid };
}
