// JSON from somebody who is not trusted: bounded before it is read, and no exception.
import { type Json, jsonOr } from './strict-json.ts';

/** Undefined for more bytes than `mostBytes`, and for what is no strict JSON. */
export function readBounded(bytes: Uint8Array, mostBytes: number): Json | undefined {
  return bytes.length > mostBytes ? undefined : jsonOr(bytes, () => undefined);
}
