// The ledger in memory: every page as it was last seen, and the ways in which the rooms look entries up. No I/O.
import { isPending, type LedgerEntry, type PendingEntry, type StoredEntry } from './ledger-entry.ts';

export type Page = { name: string; number: number; resourceVersion: string; entries: Map<string, StoredEntry> };

export class LedgerIndex {
  readonly pages = new Map<string, Page>();
  readonly #home = new Map<string, string>();
  readonly #byDevice = new Map<string, Set<LedgerEntry>>();
  readonly #bySpki = new Map<string, Set<LedgerEntry>>();
  readonly #byMd5 = new Map<string, LedgerEntry>();
  readonly #pending = new Map<string, PendingEntry>();

  get(id: string): StoredEntry | undefined {
    const home = this.#home.get(id);
    return home === undefined ? undefined : this.pages.get(home)?.entries.get(id);
  }
  pageOf(id: string): Page | undefined {
    return this.pages.get(this.#home.get(id) ?? '');
  }
  newest(): Page | undefined {
    let newest: Page | undefined;
    for (const page of this.pages.values()) if (newest === undefined || page.number > newest.number) newest = page;
    return newest;
  }
  byDevice(device: string): LedgerEntry[] {
    return [...(this.#byDevice.get(device) ?? [])];
  }
  bySpki(spki: string): LedgerEntry[] {
    return [...(this.#bySpki.get(spki) ?? [])];
  }
  byMd5(md5: string): LedgerEntry | undefined {
    return this.#byMd5.get(md5);
  }
  *all(): Iterable<LedgerEntry> {
    for (const entries of this.#byDevice.values()) yield* entries;
  }
  pending(): PendingEntry[] {
    return [...this.#pending.values()];
  }
  get size(): number {
    return this.#home.size;
  }

  /** Takes a page as the API server has it. */
  setPage(page: Page): void {
    this.removePage(page.name);
    this.pages.set(page.name, { ...page, entries: new Map() });
    for (const entry of page.entries.values()) this.#put(page.name, entry);
  }
  removePage(name: string): void {
    for (const id of this.pages.get(name)?.entries.keys() ?? []) {
      // An id that two pages hold belongs to the one that was indexed first.
      if (this.#home.get(id) === name) this.#unindex(id);
    }
    this.pages.delete(name);
  }

  #put(pageName: string, entry: StoredEntry): void {
    const elsewhere = this.pageOf(entry.id);
    this.pages.get(pageName)?.entries.set(entry.id, entry);
    if (elsewhere !== undefined) {
      // Two writers put the same certificate on two pages (a lost lease): the revoked one counts.
      if (elsewhere.entries.get(entry.id)?.revoked !== undefined || entry.revoked === undefined) return;
      this.#unindex(entry.id);
    }
    this.#home.set(entry.id, pageName);
    if (isPending(entry)) {
      this.#pending.set(entry.id, entry);
      return;
    }
    addTo(this.#byDevice, entry.device, entry);
    addTo(this.#bySpki, entry.spki, entry);
    this.#byMd5.set(entry.md5, entry);
  }
  #unindex(id: string): void {
    const entry = this.get(id);
    this.#home.delete(id);
    if (entry === undefined) return;
    if (isPending(entry)) {
      this.#pending.delete(id);
      return;
    }
    removeFrom(this.#byDevice, entry.device, entry);
    removeFrom(this.#bySpki, entry.spki, entry);
    if (this.#byMd5.get(entry.md5) === entry) this.#byMd5.delete(entry.md5);
  }
}

function addTo(map: Map<string, Set<LedgerEntry>>, key: string, entry: LedgerEntry): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([entry]));
  else set.add(entry);
}

function removeFrom(map: Map<string, Set<LedgerEntry>>, key: string, entry: LedgerEntry): void {
  const set = map.get(key);
  set?.delete(entry);
  if (set?.size === 0) map.delete(key);
}
