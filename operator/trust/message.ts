// The signed message about server anchors: a DSSE envelope (https://github.com/secure-systems-lab/dsse) around a JSON payload. docs/reference/trust-message.md.
import { createPublicKey, verify } from 'node:crypto';
import { type Anchors, sha256, unique } from './anchors.ts';
import type { Signer } from './signer.ts';

export const ANCHORS_TOPIC = 'trust/v1/anchors';
const PAYLOAD_TYPE = 'application/vnd.hedgerow.anchors.v1+json';
const VALID_MS = 30 * 24 * 3_600_000;

export type Message = {
  /** Grows with each message; devices refuse one that is not higher than their last. */
  sequence: number;
  /** The sequence at which this very set of anchors and keys was first sent: a confirmation of an earlier one is about another set. */
  since: number;
  issuedAt: number;
  expires: number;
  anchors: readonly Buffer[];
  /** Keys of which one signs the next messages. */
  keys: readonly Buffer[];
};

/** Hex; what a device sends back to show that it has this set. */
export function digestOf({ anchors, keys }: Pick<Message, 'anchors' | 'keys'>): string {
  return sha256(Buffer.concat([...anchors, ...keys].map(sha256))).toString('hex');
}

/**
 * The message that devices should have: the last one while it says the same and is young, else a new one. The sequence is the time in seconds and more than the
 * last: it grows also when the last one was lost.
 */
export function nextMessage(anchors: Anchors, signer: Pick<Signer, 'spki'>, last: Message | undefined, now: number): Message {
  const set = { anchors: anchors.trusted, keys: unique([signer.spki, ...anchors.nextKeys]) };
  const isSame = last !== undefined && digestOf(last) === digestOf(set);
  if (isSame && now < last.issuedAt + VALID_MS / 2) return last;
  const sequence = Math.max(Math.floor(now / 1000), (last?.sequence ?? 0) + 1);
  return { ...set, sequence, since: isSame ? last.since : sequence, issuedAt: now, expires: now + VALID_MS };
}

export function encode(message: Message, signer: Signer): string {
  const payload = Buffer.from(
    JSON.stringify({
      v: 1,
      sequence: message.sequence,
      since: message.since,
      issuedAt: stamp(message.issuedAt),
      expires: stamp(message.expires),
      anchors: message.anchors.map((der) => der.toString('base64')),
      keys: message.keys.map((spki) => spki.toString('base64')),
    }),
  );
  const sig = signer.sign(preAuthentication(payload)).toString('base64');
  return JSON.stringify({ payload: payload.toString('base64'), payloadType: PAYLOAD_TYPE, signatures: [{ keyid: signer.keyId, sig }] });
}

/** The operator's own last message, if a key that it announces itself signed it; whatever else stands there is none. Total over all texts. */
export function decode(text: string): Message | undefined {
  try {
    const envelope = JSON.parse(text) as { payload: string; payloadType: string; signatures: { keyid: string; sig: string }[] };
    const payload = Buffer.from(envelope.payload, 'base64');
    const message = messageOf(JSON.parse(payload.toString('utf8')));
    if (message === undefined || envelope.payloadType !== PAYLOAD_TYPE) return undefined;
    const signed = envelope.signatures.some(({ keyid, sig }) => {
      const spki = message.keys.find((key) => sha256(key).toString('hex') === keyid);
      if (spki === undefined) return false;
      const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
      return verify('sha256', preAuthentication(payload), key, Buffer.from(sig, 'base64'));
    });
    return signed ? message : undefined;
  } catch {
    return undefined;
  }
}

/** What is signed: DSSE's pre-authentication encoding. */
function preAuthentication(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}

function messageOf(value: unknown): Message | undefined {
  const { v, sequence, since, issuedAt, expires, anchors, keys } = value as Record<string, unknown>;
  const [begin, end] = [Date.parse(String(issuedAt)), Date.parse(String(expires))];
  if (v !== 1 || !Number.isSafeInteger(sequence) || !Number.isSafeInteger(since) || Number.isNaN(begin) || Number.isNaN(end))
    return undefined;
  const ders = (list: unknown): Buffer[] => (list as unknown[]).map((one) => Buffer.from(String(one), 'base64'));
  return { sequence: sequence as number, since: since as number, issuedAt: begin, expires: end, anchors: ders(anchors), keys: ders(keys) };
}

/** Whole seconds: every parser takes them. */
const stamp = (ms: number): string => new Date(ms).toISOString().replace(/[.]\d+Z$/, 'Z');
