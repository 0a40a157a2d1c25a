// The form of docs/reference/firmware-protocol-vectors.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Drop, Floor } from '../directive.ts';

type Read = { name: string; message: string; verdict: string };

export type Vectors = {
  device: string;
  /** Of the device's present boot. */
  nonce: string;
  /** Seconds; the device's clock unless a case says otherwise, null for none. */
  now: number;
  /** Pinned directive CAs, DER in base64. */
  cas: string[];
  floors: Record<string, Floor>;
  directives: { name: string; envelope: string; verdict: 'new' | 'known' | 'expired' | 'dropped'; why?: Drop; now?: number | null }[];
  /** SubjectPublicKeyInfo in base64. */
  bootKey: string;
  states: Read[];
  hellos: Read[];
  /** Each is heard after a hello of boot 3 and the directive that `directive` is. */
  directive: Record<string, unknown>;
  confirmations: Read[];
};

export function readVectors(): Vectors {
  const file = join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'reference', 'firmware-protocol-vectors.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Vectors;
}
