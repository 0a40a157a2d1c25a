// What a device says about its anchors, read as what it is: bytes from somebody who may lie, about itself only. Pure.
import { digestOf, type Message } from './message.ts';

export type Confirmation = { sequence: number; digest: string };

const FILTER_NAME = '([a-z0-9-]{1,62}[.][a-z0-9-]{1,62})';
const TOPIC = new RegExp(`^trust/v1/d/${FILTER_NAME}/confirmed$`);
export const CONFIRMATIONS = 'trust/v1/d/+/confirmed';
/** The longest good one has 110. */
const MOST_BYTES = 256;

/** `<device>.<namespace>` of a confirmation's topic. */
export function deviceOf(topic: string): string | undefined {
  return TOPIC.exec(topic)?.[1];
}

/** Undefined for everything that is not exactly a confirmation. Total over all bytes. */
export function readConfirmation(payload: Uint8Array): Confirmation | undefined {
  if (payload.length > MOST_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { v, sequence, digest, ...rest } = value as Record<string, unknown>;
  if (v !== 1 || Object.keys(rest).length > 0) return undefined;
  if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 0) return undefined;
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) return undefined;
  return { sequence, digest };
}

/** Whether it is about the set of this message, and from the time since it was sent. A sequence that was never sent is nobody's. */
export function confirms({ sequence, digest }: Confirmation, message: Message): boolean {
  return digest === digestOf(message) && sequence >= message.since && sequence <= message.sequence;
}
