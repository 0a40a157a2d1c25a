// Who is at the site asks the gateway for the last values of a device over the local broker, with the uplink cut too: docs/reference/edge-local.md. Who asks stands in the
// topic, where the broker lets everybody write only its own name. The answer goes to that device and to no topic that the question could choose. Pure.
import type { GatewayCode } from '../errors.ts';
import type { KnownDevice } from '../site/devices.ts';
import type { Alerted } from './alerted.ts';
import type { LatestDevice } from './latest.ts';

export type Question = { reader: string; id: string; device: string; stream: string | undefined };

/** `segment`, `gateway`: of the gateway, as in its certificate. */
export const questionFilter = (segment: string, gateway: string): string => `get/${segment}/${gateway}/#`;

const MOST_QUESTION_BYTES = 512;
const MOST_ANSWER_BYTES = 65_536;
const WIRE = /^[a-z0-9-]{1,62}\.[a-z0-9-]{1,62}$/;

/** Undefined for whatever is no question. */
export function readQuestion(topic: string, payload: Buffer): Question | undefined {
  const [word, , , reader, ...more] = topic.split('/');
  if (word !== 'get' || reader === undefined || more.length > 0 || !WIRE.test(reader) || payload.length > MOST_QUESTION_BYTES)
    return undefined;
  const { v, id, device, stream, ...others } = objectOf(payload);
  if (v !== 1 || typeof id !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(id) || Object.keys(others).length > 0) return undefined;
  if (typeof device !== 'string' || !WIRE.test(device)) return undefined;
  return stream === undefined || typeof stream === 'string' ? { reader, id, device, stream } : undefined;
}

export type Answer = { topic: string; payload: Buffer };

export type Known = { latest: LatestDevice | undefined; alerts: readonly Alerted[] };

/** `reader`: the Device that asks, as it is known. */
export function answerOf(question: Question, reader: KnownDevice, { latest, alerts }: Known, nowMs: number): Answer {
  const { id, device, stream } = question;
  const said = (rest: object): Buffer => Buffer.from(JSON.stringify({ v: 1, id, device, now: nowMs, ...rest }));
  const topic = `latest/${reader.segment}/${reader.name}`;
  const refused = (code: GatewayCode): Answer => ({ topic, payload: said({ code }) });
  const asked = [...(latest?.streams ?? [])].filter(([name]) => stream === undefined || name === stream);
  if (latest === undefined || asked.length === 0) return refused('HR-GW-711');
  const streams = asked.map(([name, { atMs, heardMs, readings }]) => ({ stream: name, ts: atMs, heard: heardMs, readings }));
  const why = alerts
    .filter((one) => stream === undefined || one.stream === stream)
    .map(({ kind, atMs, says, stream: of, field }) => ({ stream: of, field, kind, ts: atMs, says }));
  const payload = said({ segment: latest.segment, streams, ...(why.length === 0 ? {} : { alerts: why }) });
  return payload.length > MOST_ANSWER_BYTES ? refused('HR-GW-712') : { topic, payload };
}

function objectOf(payload: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
