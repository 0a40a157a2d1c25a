// What is taken of what arrives: bytes and a topic in, a row of the store or a code out. Pure. The broker vouches for one thing only, the site in the topic.
import { type EgressMessage, egressProblem, topicOf } from '../../operator/api/egress.ts';
import type { ConsumerCode } from './errors.ts';
import type { Row } from './store.ts';

export type Accepted = { ok: true; row: Row; erased: { device: string; beforeMs: number } | undefined };
/** `site`: of the topic; empty when it has none. */
export type RefusedMessage = { ok: false; site: string; code: ConsumerCode; found: string };

/** Larger ones are none of ours, and the broker does not send them to the consumer: a trend with all the bins that it can have stays below. */
export const MOST_BYTES = 262_144;

const utf8 = new TextDecoder('utf-8', { fatal: true });
/** 128 random bits (docs/reference/edge-egress.md). */
const PSEUDONYM = /^[0-9a-f]{32}$/;
const TOPIC = /^(?:agg|alert)\/([a-z0-9](?:[-a-z0-9]{0,60}[a-z0-9])?)\//;

export function accept(topic: string, payload: Uint8Array): Accepted | RefusedMessage {
  const site = TOPIC.exec(topic)?.[1] ?? '';
  const refuse = (code: ConsumerCode, found: string): RefusedMessage => ({ ok: false, site, code, found });
  if (payload.byteLength > MOST_BYTES) return refuse('HR-CC-101', `it has ${payload.byteLength} bytes`);
  const read = parse(payload);
  if (read === undefined) return refuse('HR-CC-101', 'it is no JSON in UTF-8');
  const problem = egressProblem(read);
  if (problem !== undefined) return refuse('HR-CC-102', problem);
  const message = read as EgressMessage;
  if (message.site !== site) return refuse('HR-CC-103', `it says ${message.site}`);
  if (topicOf(message) !== topic) return refuse('HR-CC-104', `it belongs on ${topicOf(message)}`);
  return { ok: true, row: rowOf(message, topic), erased: erasedBy(message) };
}

function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(payload));
  } catch {
    return undefined;
  }
}

function rowOf(message: EgressMessage, topic: string): Row {
  const { site, key, rev, type, fromMs, toMs } = message;
  const segment = 'segment' in message ? message.segment : '';
  const device = 'device' in message && message.type !== 'Erased' ? (message.device ?? '') : '';
  return { site, key, rev, type, segment, device, fromMs, toMs, topic, body: JSON.stringify(message) };
}

/** A pseudonym is never given again, so all of it goes, also what a device with a clock that went ahead has said. A name may be that of another Device afterwards. */
function erasedBy(message: EgressMessage): Accepted['erased'] {
  if (message.type !== 'Erased') return undefined;
  return { device: message.device, beforeMs: PSEUDONYM.test(message.device) ? Number.MAX_SAFE_INTEGER : message.toMs };
}
