// Makes the list of an issuer when there is a reason to: a revocation, a CA, or its age. Kept in memory only; a restart makes all of them again from the ledger.
import { createHash } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import type { Authority } from './authority.ts';
import { encodeSigned, encodeUnsigned, pemOf } from './certificate-list.ts';
import type { Revocations } from './revocations.ts';

export type PublishedList = {
  der: Buffer;
  pem: Buffer;
  /** sha256 of the DER, hex. */
  hash: string;
  number: number;
  issuedAtMs: number;
  nextUpdateMs: number;
  entries: number;
  /** False for the second list of one second: a date of whole seconds cannot tell it from the first (RFC 9110 §8.8.2.2). */
  datable: boolean;
};

export interface Publisher {
  /** From now on lists of this issuer are signed by this CA. */
  setAuthority(issuer: string, authority: Authority): void;
  authority(issuer: string): Authority | undefined;
  /** Their revocations changed. */
  changed(issuers: Iterable<string>): void;
  /** While true, no issuer gets its first list; those that have one are kept up. */
  holdFirstLists(hold: boolean): void;
  /** Renews what has come to its age by the wall clock. */
  tick(): void;
  list(issuer: string): PublishedList | undefined;
  lists(): Iterable<[string, PublishedList]>;
  /** Resolves when everything that is due was made. */
  idle(): Promise<void>;
}

export type PublisherDeps = {
  revocations: Revocations;
  validityMs: number;
  clock: Clock;
  log: Log;
  published: (issuer: string, tookMs: number) => void;
};

/** Seven eighths of its validity are left to whoever has the list when this process ends. */
export const renewAfterMs = (validityMs: number): number => Math.floor(validityMs / 8);

/** Several revocations of one moment become one list; the first of them waits no longer than this. */
const GATHER_MS = 50;
/** Signing may take no more than a third of the time, however large the list. */
const REST_FACTOR = 2;
/** A client whose clock is slow would refuse a list from its future, and with it every device. */
const BACKDATE_MS = 5 * 60_000;

export function createPublisher({ revocations, validityMs, clock, log, published }: PublisherDeps): Publisher {
  const authorities = new Map<string, Authority>();
  const lists = new Map<string, PublishedList>();
  const due = new Set<string>();
  const failed = new Set<string>();
  let timer: { cancel(): void } | undefined;
  let lastTookMs = 0;
  let firstListsHeld = false;
  let waiting: (() => void)[] = [];

  function schedule(): void {
    if (timer !== undefined || due.size === 0) return;
    timer = clock.setTimer(Math.max(GATHER_MS, REST_FACTOR * lastTookMs), makeNext);
  }

  /** One list at a time: requests are answered in between. */
  function makeNext(): void {
    timer = undefined;
    const [issuer] = due;
    if (issuer !== undefined) {
      due.delete(issuer);
      make(issuer);
    }
    schedule();
    if (due.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  function make(issuer: string): void {
    const authority = authorities.get(issuer);
    const previous = lists.get(issuer);
    if (authority === undefined || (previous === undefined && firstListsHeld)) return;
    const startedAt = clock.elapsed();
    try {
      const list = makeList(authority, revocations.entries(issuer, clock.now()), { now: clock.now(), validityMs, previous });
      lists.set(issuer, list);
      failed.delete(issuer);
      lastTookMs = clock.elapsed() - startedAt;
      published(issuer, lastTookMs);
      const { number, entries } = list;
      log.info({ issuer, number, entries, bytes: list.der.length, tookMs: Math.round(lastTookMs) }, 'a CRL was published');
    } catch {
      failed.add(issuer);
      // Never the error itself: a library's words about a failed signature are not ours to judge.
      log.error({ issuer }, 'a CRL could not be signed; it is tried again within a minute');
    }
  }

  function want(issuers: Iterable<string>): void {
    for (const issuer of issuers) due.add(issuer);
    schedule();
  }

  const isAged = (list: PublishedList, now: number): boolean =>
    now >= list.issuedAtMs + renewAfterMs(validityMs) || now < list.issuedAtMs - BACKDATE_MS;

  return {
    setAuthority(issuer, authority) {
      authorities.set(issuer, authority);
      want([issuer]);
    },
    authority: (issuer) => authorities.get(issuer),
    changed: want,
    holdFirstLists(hold) {
      firstListsHeld = hold;
      if (!hold) want([...authorities.keys()].filter((issuer) => !lists.has(issuer)));
    },
    tick() {
      const now = clock.now();
      want([...authorities.keys()].filter((issuer) => failed.has(issuer) || isAged(lists.get(issuer) ?? NEVER, now)));
    },
    list: (issuer) => lists.get(issuer),
    lists: () => lists.entries(),
    idle: () => (due.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

const NEVER: PublishedList = {
  der: Buffer.alloc(0),
  pem: Buffer.alloc(0),
  hash: '',
  number: 0,
  issuedAtMs: Number.NEGATIVE_INFINITY,
  nextUpdateMs: 0,
  entries: 0,
  datable: true,
};

/**
 * The number is the time in ms, and more than the last one (RFC 5280 §5.2.3): it grows over restarts without being stored anywhere, as long as the clock
 * of a new process is not behind that of the old one.
 */
export function makeList(
  authority: Authority,
  entries: readonly Buffer[],
  { now, validityMs, previous }: { now: number; validityMs: number; previous: PublishedList | undefined },
): PublishedList {
  const number = Math.max(now, (previous?.number ?? 0) + 1);
  const { algorithm, issuer, keyId } = authority;
  const nextUpdateMs = now + validityMs;
  const unsigned = encodeUnsigned({ algorithm, issuer, keyId, number, thisUpdateMs: now - BACKDATE_MS, nextUpdateMs, entries });
  const der = encodeSigned(unsigned, algorithm, authority.sign(unsigned));
  return {
    der,
    pem: pemOf(der),
    hash: createHash('sha256').update(der).digest('hex'),
    number,
    issuedAtMs: now,
    nextUpdateMs,
    entries: entries.length,
    datable: previous === undefined || seconds(now) > seconds(previous.issuedAtMs),
  };
}

const seconds = (ms: number): number => Math.floor(ms / 1000);
