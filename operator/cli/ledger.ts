// The certificate ledger as a person may read it. What does not read is left out: the operator itself stops at it loudly (HR-ID-040). Pure.
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import type { LedgerEntry } from '../identity/identity.ts';

/** An entry of which nothing is known for certain but the device. `pending`: approved, and its certificate was not seen yet. */
export type LedgerLine = Partial<Omit<LedgerEntry, 'revoked'>> & {
  device: string;
  pending?: boolean;
  revoked?: { at?: string; reason?: string; by?: string };
};

export function linesOf(pages: readonly CertificateLedger[]): LedgerLine[] {
  return pages.flatMap(({ spec }) => Object.values(spec.entries ?? {}).flatMap(lineOf));
}

function lineOf(entry: string): LedgerLine[] {
  const value = parsed(entry);
  if (typeof value.device !== 'string') return [];
  const line: Record<string, unknown> = { device: value.device };
  for (const field of TEXTS) if (typeof value[field] === 'string') line[field] = value[field];
  if (value.pending === true) line.pending = true;
  if (value.revoked !== undefined) line.revoked = texts(value.revoked);
  return [line as LedgerLine];
}

const TEXTS = ['segment', 'issuer', 'serial', 'md5', 'sha256', 'notBefore', 'notAfter', 'via', 'ca'] as const;

const texts = (value: unknown): object => Object.fromEntries(Object.entries(value ?? {}).filter(([, field]) => typeof field === 'string'));

function parsed(entry: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(entry);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
