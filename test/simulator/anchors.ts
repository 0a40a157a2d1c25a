// The anchors of a device: by which CAs it knows the broker. Written after docs/reference/trust-message.md alone; it shares no code with the operator.
import { createHash, createPublicKey, verify, X509Certificate } from 'node:crypto';
import type { SimulatedDevice } from './device.ts';

export const ANCHORS_TOPIC = 'trust/v1/anchors';
const TYPE = 'application/vnd.hedgerow.anchors.v1+json';
const MOST_BYTES = 98_304;

export type Verdict =
  | 'taken'
  /** The one it has. */
  | 'known'
  | 'malformed'
  | 'not signed by a key that is known'
  | 'older than the last one'
  | 'expired';

type Payload = { v: number; sequence: number; since: number; issuedAt: string; expires: string; anchors: string[]; keys: string[] };
type Envelope = { payload: string; payloadType: string; signatures: { keyid: string; sig: string }[] };

/** What the device keeps in its flash. */
export class AnchorStore {
  anchors: X509Certificate[] = [];
  keys: Buffer[] = [];
  sequence = -1;
  digest = '';

  /** `trusted`: it came over a connection whose server the device knew, or at the factory; only then may it do without a known key. */
  accept(text: string, o: { now: number; trusted?: boolean }): Verdict {
    const read = open(text);
    if (read === undefined) return 'malformed';
    const { envelope, bytes, payload } = read;
    const isFirst = this.keys.length === 0 && o.trusted === true;
    const keys = isFirst ? payload.keys.map((key) => Buffer.from(key, 'base64')) : this.keys;
    if (!isSigned(envelope, bytes, keys)) return 'not signed by a key that is known';
    if (payload.sequence === this.sequence) return 'known';
    if (payload.sequence < this.sequence) return 'older than the last one';
    if (Date.parse(payload.expires) <= o.now) return 'expired';
    const anchors = certificates(payload.anchors);
    if (anchors === undefined) return 'malformed';
    // All or nothing: a device that took half of it would keep neither.
    this.anchors = anchors;
    this.keys = payload.keys.map((key) => Buffer.from(key, 'base64'));
    this.sequence = payload.sequence;
    this.digest = hash(Buffer.concat([...payload.anchors, ...payload.keys].map((one) => hash(Buffer.from(one, 'base64'))))).toString('hex');
    return 'taken';
  }

  /** What it publishes, retained, on `trust/v1/d/<its name>/confirmed`. */
  confirmation(): string {
    return JSON.stringify({ v: 1, sequence: this.sequence, digest: this.digest });
  }

  /** For the TLS library. */
  caPem(): string {
    return this.anchors.map((one) => one.toString()).join('');
  }
}

export const confirmedTopic = (device: string): string => `trust/v1/d/${device}/confirmed`;

/** Once for a device: from now on it takes what comes on the topic, and confirms it. Gives what to do after each connect, and the verdicts so far. */
export function followAnchors(device: SimulatedDevice, store: AnchorStore): { connected(): Promise<void>; verdicts: Verdict[] } {
  const verdicts: Verdict[] = [];
  const confirm = (): Promise<unknown> => device.tryPublish(confirmedTopic(device.name), store.confirmation(), { qos: 1, retain: true });
  device.hear((topic, payload) => {
    if (topic !== ANCHORS_TOPIC) return;
    const verdict = store.accept(payload, { now: Date.now() });
    verdicts.push(verdict);
    if (verdict === 'taken') void confirm();
  });
  return {
    verdicts,
    async connected() {
      const answer = await device.trySubscribe(ANCHORS_TOPIC);
      if (answer.given !== 'accepted') throw new Error(`${device.name} may not subscribe to ${ANCHORS_TOPIC}: ${JSON.stringify(answer)}`);
      // The broker may have forgotten it.
      if (store.sequence >= 0) await confirm();
    },
  };
}

function open(text: string): { envelope: Envelope; bytes: Buffer; payload: Payload } | undefined {
  try {
    if (Buffer.byteLength(text) > MOST_BYTES) return undefined;
    const envelope = JSON.parse(text) as Envelope;
    const bytes = Buffer.from(envelope.payload, 'base64');
    const payload = JSON.parse(bytes.toString('utf8')) as Payload;
    const isWhole =
      payload.v === 1 && Number.isSafeInteger(payload.sequence) && Array.isArray(payload.anchors) && Array.isArray(payload.keys);
    const fits = payload.anchors.length >= 1 && payload.anchors.length <= 8 && payload.keys.length >= 1 && payload.keys.length <= 4;
    return envelope.payloadType === TYPE && isWhole && fits && Array.isArray(envelope.signatures)
      ? { envelope, bytes, payload }
      : undefined;
  } catch {
    return undefined;
  }
}

function isSigned({ signatures }: Envelope, payload: Buffer, keys: readonly Buffer[]): boolean {
  const signed = Buffer.concat([Buffer.from(`DSSEv1 ${TYPE.length} ${TYPE} ${payload.length} `, 'ascii'), payload]);
  return signatures.slice(0, 4).some(({ sig }) =>
    keys.some((spki) => {
      try {
        return verify('sha256', signed, createPublicKey({ key: spki, format: 'der', type: 'spki' }), Buffer.from(sig, 'base64'));
      } catch {
        return false;
      }
    }),
  );
}

function certificates(list: readonly string[]): X509Certificate[] | undefined {
  try {
    const found = list.map((one) => new X509Certificate(Buffer.from(one, 'base64')));
    return found.every(({ ca }) => ca) ? found : undefined;
  } catch {
    return undefined;
  }
}

const hash = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
