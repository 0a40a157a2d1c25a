// Which CAs are to be trusted, from the ledger. Pure.
import type { LedgerEntry } from './ledger-entry.ts';
import type { Signer } from './signer.ts';

export type KnownAuthority = Signer & {
  /** ms; when it was put in, of one that no entry names yet. */
  announcedAt?: number;
};

export type Census = {
  /** Certificates that still need a CA, by its id. */
  byCa: Map<string, number>;
  /** Those of which nobody knows the CA. */
  withoutCa: number;
};

export type Selection = {
  /** In the order of their ids, so that the same world gives the same text. */
  keep: Signer[];
  /** CAs that certificates need and whose own certificate is lost. */
  missing: string[];
  census: Census;
};

/** A request is recorded within seconds of its CA's announcement, or never. */
const ANNOUNCED_MS = 600_000;

/** A certificate needs its CA until it expires, and until it may no more re-enrol; a revoked one needs none. */
export function takeCensus(entries: Iterable<LedgerEntry>, now: number): Census {
  const census: Census = { byCa: new Map(), withoutCa: 0 };
  for (const { ca, revoked, notAfter, keepUntil } of entries) {
    if (revoked !== undefined || Math.max(Date.parse(notAfter), Date.parse(keepUntil ?? notAfter)) <= now) continue;
    if (ca === undefined) census.withoutCa += 1;
    else census.byCa.set(ca, (census.byCa.get(ca) ?? 0) + 1);
  }
  return census;
}

/** Those that are needed and those that are about to be; of a ledger that needs none, the one that was known last: a bundle is never empty. */
export function selectAuthorities(known: readonly KnownAuthority[], entries: Iterable<LedgerEntry>, now: number): Selection {
  const census = takeCensus(entries, now);
  const isNeeded = ({ id, announcedAt }: KnownAuthority): boolean =>
    census.byCa.has(id) || (announcedAt !== undefined && now - announcedAt < ANNOUNCED_MS);
  const needed = known.filter(isNeeded);
  const last = [...known].sort((a, b) => (b.announcedAt ?? 0) - (a.announcedAt ?? 0) || (a.id < b.id ? -1 : 1)).slice(0, 1);
  const keep = (needed.length > 0 ? needed : last).map(({ id, pem }) => ({ id, pem })).sort((a, b) => (a.id < b.id ? -1 : 1));
  const ids = new Set(known.map(({ id }) => id));
  return { keep, missing: [...census.byCa.keys()].filter((id) => !ids.has(id)).sort(), census };
}
