// The certificate ledger: which certificate was given to whom. Durable before anything is handed out (docs/adr/0006-ledger-and-issuance.md).
// Group commit: while one write is in flight the others gather, so N certificates cost far fewer than N writes.
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import {
  isExpendable,
  isGraver,
  isPending,
  type LedgerEntry,
  MAX_BY_CHARS,
  type PendingEntry,
  type Revocation,
  type StoredEntry,
} from './ledger-entry.ts';
import { LedgerIndex } from './ledger-index.ts';
import { createPages, LedgerBroken, type Pages, type PagesClient } from './ledger-pages.ts';
import { type Change, planWrites, put, type Write } from './ledger-plan.ts';

export interface Ledger {
  byDevice(device: string): LedgerEntry[];
  byMd5(md5: string): LedgerEntry | undefined;
  bySpki(spki: string): LedgerEntry[];
  all(): Iterable<LedgerEntry>;
  /** Keys approved for `Managed` devices whose certificate was not seen yet. */
  pending(): PendingEntry[];
  /** Durable when it resolves. Appending a certificate that is there already is a no-op. */
  append(entry: LedgerEntry): Promise<void>;
  revoke(ids: string[], why: Omit<Revocation, 'at'>): Promise<void>;
  /** Everything was read from the API server. Nothing is issued before. */
  readonly synced: boolean;
  /** Why nothing can be recorded, with its code, or undefined. */
  readonly problem: string | undefined;
}

export type LedgerDeps = {
  client: PagesClient;
  namespace: string;
  clock: Clock;
  log: Log;
  /** A group is written when nobody has joined it for so long. Trades latency of a first certificate against API writes. */
  lingerMs?: number;
  /** Entries a page. The API server reads, checks and writes the whole page for each group: 47 ms with 512 entries, 12 ms with 128 (measured). */
  pageSize?: number;
  /** After this time a caller gets the error; it comes again, and everything here is idempotent. */
  giveUpMs?: number;
};

type Waiting = { changes: Change[]; urgent: boolean; resolve: () => void; reject: (error: unknown) => void };

const VERIFY_EVERY_MS = 300_000;
const RETRY_LOAD_MS = 5_000;
const MOST_WAITING = 256;
/** As long as others keep coming the first of a group waits this many times `lingerMs`, and no longer. */
const MOST_LINGERS = 2;

export class CertificateLedgerLog implements Ledger {
  readonly #index = new LedgerIndex();
  readonly #pages: Pages;
  readonly #deps: Required<LedgerDeps>;
  #waiting: Waiting[] = [];
  /** The group that is being written. */
  #writing: Waiting[] = [];
  #flushing = false;
  #timer: { cancel(): void } | undefined;
  /** When the first of the group that gathers came. */
  #firstAt: number | undefined;
  #listeners: (() => void)[] = [];
  #stopped = false;
  synced = false;
  problem: string | undefined;

  constructor(deps: LedgerDeps) {
    this.#deps = { lingerMs: 120, pageSize: 128, giveUpMs: 30_000, ...deps };
    this.#pages = createPages(deps.client, deps.namespace);
  }

  byDevice(device: string): LedgerEntry[] {
    return this.#index.byDevice(device);
  }
  byMd5(md5: string): LedgerEntry | undefined {
    return this.#index.byMd5(md5);
  }
  bySpki(spki: string): LedgerEntry[] {
    return this.#index.bySpki(spki);
  }
  all(): Iterable<LedgerEntry> {
    return this.#index.all();
  }
  pending(): PendingEntry[] {
    return this.#index.pending();
  }
  /** Called after every change that became durable or was read. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async append(entry: LedgerEntry): Promise<void> {
    await this.commit([put(entry)]);
  }

  revoke(ids: string[], why: Omit<Revocation, 'at'>): Promise<void> {
    const revoked: Revocation = {
      at: new Date(this.#deps.clock.now()).toISOString(),
      reason: why.reason,
      by: why.by.slice(0, MAX_BY_CHARS),
    };
    const mark = (current: StoredEntry | undefined) =>
      current === undefined || !isGraver(why.reason, current.revoked) ? current : { ...current, revoked };
    // A revocation does not linger: seconds count from the API call to the closed connection.
    return this.commit(
      ids.map((id) => ({ id, apply: mark })),
      { urgent: true },
    );
  }

  /** Resolves when all changes are durable. Rejects when that could not be made sure; the caller then does not know and asks again. */
  commit(changes: Change[], options: { urgent?: boolean } = {}): Promise<void> {
    if (this.problem !== undefined) return Promise.reject(new LedgerBroken(this.problem));
    if (!this.synced) return Promise.reject(new Error('the certificate ledger was not read yet'));
    if (changes.every((change) => change.apply(this.#index.get(change.id)) === this.#index.get(change.id)) && !this.#queued(changes))
      return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, urgent: options.urgent === true, resolve, reject });
      this.#schedule();
    });
  }

  /** Reads everything, then compares with the API server now and then, until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.load(signal).catch((error: unknown) => this.#deps.log.error({ err: error }, 'cannot read the certificate ledger'));
      await this.#deps.clock
        .sleep(this.synced && this.problem === undefined ? VERIFY_EVERY_MS : RETRY_LOAD_MS, signal)
        .catch(() => undefined);
    }
    this.#stopped = true;
  }

  /** Reads all pages; what memory knows and a page lost is put back. Throws when the API server does not answer. */
  async load(signal?: AbortSignal): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      const live = await this.#pages.list(signal);
      const livePages = new Map(live.map((page) => [page.name, page]));
      const lost = [...this.#index.pages.keys()].flatMap((name) => this.#lost(name, livePages.get(name)?.entries));
      for (const name of [...this.#index.pages.keys()]) if (!livePages.has(name)) this.#index.removePage(name);
      for (const page of live) this.#index.setPage(page);
      this.synced = true;
      this.problem = undefined;
      if (lost.length > 0) this.#restore(lost);
      this.#housekeep();
    } catch (error) {
      this.#noteProblem(error);
      throw error;
    } finally {
      this.#flushing = false;
      this.#changed();
      if (this.#waiting.length > 0) this.#schedule();
    }
  }

  #queued(changes: Change[]): boolean {
    const ids = new Set(changes.map((change) => change.id));
    return [...this.#writing, ...this.#waiting].some((waiting) => waiting.changes.some((change) => ids.has(change.id)));
  }

  #schedule(): void {
    if (this.#flushing) return;
    const { clock, lingerMs } = this.#deps;
    const now = this.#waiting.length >= MOST_WAITING || this.#waiting.some((waiting) => waiting.urgent);
    this.#timer?.cancel();
    this.#firstAt ??= clock.elapsed();
    const leftMs = Math.max(0, this.#firstAt + lingerMs * MOST_LINGERS - clock.elapsed());
    this.#timer = clock.setTimer(now ? 0 : Math.min(lingerMs, leftMs), () => {
      this.#timer = undefined;
      this.#firstAt = undefined;
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    if (this.#flushing || this.#waiting.length === 0) return;
    this.#flushing = true;
    const group = this.#waiting;
    this.#writing = group;
    this.#waiting = [];
    try {
      await this.#writeUntilDurable(group.flatMap((waiting) => waiting.changes));
      for (const waiting of group) waiting.resolve();
    } catch (error) {
      for (const waiting of group) waiting.reject(error);
    } finally {
      this.#writing = [];
      this.#flushing = false;
      this.#changed();
      if (this.#waiting.length > 0) this.#schedule();
    }
  }

  async #writeUntilDurable(changes: Change[]): Promise<void> {
    const { clock, pageSize, giveUpMs } = this.#deps;
    const giveUpAt = clock.elapsed() + giveUpMs;
    for (let pauseMs = 25; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
      let current: Write | undefined;
      try {
        for (current of planWrites(this.#index, changes, { now: clock.now(), pageSize })) await this.#write(current);
        return;
      } catch (error) {
        this.#noteProblem(error);
        if (error instanceof LedgerBroken || this.#stopped || clock.elapsed() >= giveUpAt) throw error;
        await clock.sleep(pauseMs);
        // Whether the write happened is not known (the answer may have been lost): what the server has now is what counts.
        if (current !== undefined) await this.#reread(current.page.name);
      }
    }
  }

  async #write({ page, changes, kind }: Write): Promise<void> {
    if (kind === 'delete') {
      await this.#pages.delete(page);
      this.#index.removePage(page.name);
    } else if (kind === 'create') {
      const entries = new Map(page.entries);
      for (const [id, entry] of changes) entry === undefined ? entries.delete(id) : entries.set(id, entry);
      this.#index.setPage(await this.#pages.create(page.number, entries.values()));
    } else {
      this.#index.setPage(await this.#pages.patch(page, changes));
    }
  }

  /** A page that does not read stops the group; an API server that does not answer is asked again by the next attempt, whose precondition protects the page. */
  async #reread(name: string): Promise<void> {
    try {
      const live = await this.#pages.get(name);
      const lost = this.#lost(name, live?.entries);
      if (live === undefined) this.#index.removePage(name);
      else this.#index.setPage(live);
      if (lost.length > 0) this.#restore(lost);
    } catch (error) {
      this.#noteProblem(error);
      if (error instanceof LedgerBroken) throw error;
    }
  }

  /** Entries that this process knows to be durable and that are gone, though nobody but the operator may write the ledger. */
  #lost(name: string, live: ReadonlyMap<string, StoredEntry> | undefined): LedgerEntry[] {
    const now = this.#deps.clock.now();
    const known = [...(this.#index.pages.get(name)?.entries.values() ?? [])];
    return known.filter((entry): entry is LedgerEntry => {
      if (isPending(entry) || isExpendable(entry, now)) return false;
      const there = live?.get(entry.id);
      return there === undefined || (entry.revoked !== undefined && there.revoked === undefined);
    });
  }

  #restore(lost: LedgerEntry[]): void {
    this.#deps.log.error({ entries: lost.length }, 'somebody removed entries of the certificate ledger; they are put back');
    this.#background(
      lost.map((entry) => ({
        id: entry.id,
        apply: (now) => (now === undefined || (now.revoked === undefined && entry.revoked !== undefined) ? entry : now),
      })),
    );
  }

  /** A page that nobody writes any more would keep its expired entries: rewrite it when a quarter of it is dead. */
  #housekeep(): void {
    const now = this.#deps.clock.now();
    for (const page of this.#index.pages.values()) {
      const expired = [...page.entries.values()].filter((entry) => isExpendable(entry, now));
      if (expired.length === 0 || expired.length * 4 < page.entries.size) continue;
      const changes = expired.map((entry) => ({ id: entry.id, apply: () => undefined }));
      this.#background(changes);
    }
  }

  #background(changes: Change[]): void {
    const reject = (error: unknown) => this.#deps.log.warn({ err: error }, 'a repair of the certificate ledger did not succeed yet');
    this.#waiting.push({ changes, urgent: false, resolve: () => undefined, reject });
  }

  #noteProblem(error: unknown): void {
    if (!(error instanceof LedgerBroken)) return;
    if (this.problem !== error.message) this.#deps.log.error({}, error.message);
    this.problem = error.message;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
