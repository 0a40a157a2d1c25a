// JSON from somebody who is not trusted: bounded before it is read, and no exception.
import { type Json, NotJson, readJson } from './strict-json.ts';

/** Undefined for more bytes than `mostBytes`, and for what is no strict JSON. */
export function readBounded(bytes: Uint8Array, mostBytes: number): Json | undefined {
  if (bytes.length > mostBytes) return undefined;
  try {
    return readJson(bytes);
  } catch (error) {
    if (error instanceof NotJson) return undefined;
    throw error;
  }
}
