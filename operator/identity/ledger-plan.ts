// Which pages a group of changes touches and what becomes of each. Pure.

import { decodeEntry, encodeEntry, isExpendable, type StoredEntry } from './ledger-entry.ts';
import type { LedgerIndex, Page } from './ledger-index.ts';
import { pageName } from './ledger-pages.ts';

/** Makes of the entry as it is now the entry as it shall be; undefined = none. Must be idempotent: it is applied again after a conflict or a lost answer. */
export type Change = { id: string; apply: (current: StoredEntry | undefined) => StoredEntry | undefined };

/** Records an entry unless it is there: a revocation that came in between stays. Throws for one that would not read back: it would stop the ledger of the whole fleet. */
export function put(entry: StoredEntry): Change {
  const read = decodeEntry(entry.id, encodeEntry(entry));
  if (typeof read === 'string') throw new Error(`the entry of a certificate of Device ${entry.device} would not read back: ${read}`);
  return { id: entry.id, apply: (current) => current ?? entry };
}

export function drop(id: string): Change {
  return { id, apply: () => undefined };
}

export type Write = { kind: 'create' | 'patch' | 'delete'; page: Page; changes: Map<string, StoredEntry | undefined> };

/** The writes, one a page, that make the changes durable; none when everything is there already. Pages that gain entries come first: a crash in between leaves too much, never too little. */
export function planWrites(index: LedgerIndex, changes: Change[], o: { now: number; pageSize: number }): Write[] {
  const writes = new Map<string, Write>();
  const open = openPage(index, o);
  for (const [id, entry] of foldChanges(index, changes)) {
    const page = index.pageOf(id) ?? open.next();
    writeTo(writes, page, index).changes.set(id, entry);
  }
  for (const write of writes.values()) finish(write, index, o.now);
  const gains = (write: Write) => [...write.changes.values()].some((entry) => entry !== undefined);
  return [...writes.values()].sort((a, b) => Number(gains(b)) - Number(gains(a)));
}

/** Several changes of one entry become one; changes that change nothing leave. */
function foldChanges(index: LedgerIndex, changes: Change[]): Map<string, StoredEntry | undefined> {
  const after = new Map<string, StoredEntry | undefined>();
  for (const { id, apply } of changes) after.set(id, apply(after.has(id) ? after.get(id) : index.get(id)));
  for (const [id, entry] of after) if (entry === index.get(id)) after.delete(id);
  return after;
}

/** New entries go to the newest page until it is full, then to the next number. */
function openPage(index: LedgerIndex, o: { now: number; pageSize: number }): { next(): Page } {
  let page = index.newest() ?? blank(0);
  let used = [...page.entries.values()].filter((entry) => !isExpendable(entry, o.now)).length;
  return {
    next() {
      if (used >= o.pageSize) {
        page = blank(page.number + 1);
        used = 0;
      }
      used += 1;
      return page;
    },
  };
}

function blank(number: number): Page {
  return { name: pageName(number), number, resourceVersion: '', entries: new Map() };
}

function writeTo(writes: Map<string, Write>, page: Page, index: LedgerIndex): Write {
  const known = writes.get(page.name);
  if (known !== undefined) return known;
  const write: Write = { kind: index.pages.has(page.name) ? 'patch' : 'create', page, changes: new Map() };
  writes.set(page.name, write);
  return write;
}

/** Whoever writes a page takes its expired entries out; an old page that becomes empty goes. */
function finish(write: Write, index: LedgerIndex, now: number): void {
  for (const [id, entry] of write.page.entries) {
    if (!write.changes.has(id) && isExpendable(entry, now)) write.changes.set(id, undefined);
  }
  const remains =
    [...write.page.entries.keys()].some((id) => !write.changes.has(id)) || [...write.changes.values()].some((entry) => entry !== undefined);
  const isNewest = (index.newest()?.number ?? -1) <= write.page.number;
  if (write.kind === 'patch' && !remains && !isNewest) write.kind = 'delete';
}
