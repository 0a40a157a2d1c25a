// The form of docs/reference/edge-commands-vectors.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Floor, Grant, Refusal } from '../judge.ts';

export type Vectors = {
  segment: string;
  device: string;
  /** ms; the device's clock unless a case says otherwise, null for none. */
  now: number;
  /** The CAs of the site's devices, DER in base64. */
  cas: string[];
  grants: Grant[];
  /** A revocation list, DER in base64. */
  crl: string;
  floors: Record<string, Floor>;
  commands: {
    name: string;
    /** That of the device unless a case says otherwise. */
    topic?: string;
    envelope: string;
    verdict: 'new' | 'known' | 'refused';
    why?: Refusal;
    now?: number | null;
  }[];
};

export function readVectors(): Vectors {
  const file = join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'reference', 'edge-commands-vectors.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Vectors;
}
