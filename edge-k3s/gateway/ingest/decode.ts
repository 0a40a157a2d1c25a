// Bytes of a payload to a value: JSON, or CBOR (RFC 8949). An envelope is a map, so its first byte tells which: JSON begins with `{` or white space, a map of CBOR with 0xA0 or more. Pure.
import { isUtf8 } from 'node:buffer';
import { decode as decodeCbor } from 'cborg';

const FIRST_OF_CBOR = 0xa0;
const CBOR = {
  // Deterministic enough that one value has one form as JSON; what JSON cannot say is no telemetry.
  strict: false,
  allowIndefinite: true,
  allowUndefined: false,
  allowBigInt: false,
  allowInfinity: false,
  allowNaN: false,
  rejectDuplicateMapKeys: true,
} as const;

/** Undefined for bytes that are neither. Never throws. */
export function decode(payload: Buffer): unknown {
  try {
    const [first] = payload;
    if (first !== undefined && first >= FIRST_OF_CBOR) return decodeCbor(payload, CBOR) as unknown;
    return isUtf8(payload) ? (JSON.parse(payload.toString('utf8')) as unknown) : undefined;
  } catch {
    // Also when it is nested so deeply that the stack ends.
    return undefined;
  }
}
