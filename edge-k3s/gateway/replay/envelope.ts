// What every message of a device is wrapped in, so that one that is sent again can be told. Pure.

export type Envelope = {
  /** Rises with each start of the device. */
  boot: number;
  /** 1, then one more with each message of this boot. */
  seq: number;
  /** ms since 1970, by the device's clock. */
  ts: number;
  /** It was measured while nothing could be sent. */
  backfill: boolean;
  /** The message itself. */
  m: unknown;
};

const FIELDS = new Set(['v', 'boot', 'seq', 'ts', 'backfill', 'm']);

/** `value`: as decoded. HR-GW-201 when it is no envelope, or has a field that none has. */
export function readEnvelope(value: unknown): Envelope | 'HR-GW-201' {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'HR-GW-201';
  if (Object.keys(value).some((name) => !FIELDS.has(name)) || !('m' in value)) return 'HR-GW-201';
  const { v, boot, seq, ts, backfill = false, m } = value as Record<string, unknown>;
  if (v !== 1 || !isCount(boot) || !isCount(seq) || !isCount(ts) || typeof backfill !== 'boolean') return 'HR-GW-201';
  return { boot, seq, ts, backfill, m };
}

/** 1 to 2^53 - 1. */
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;
