// Pages of the ledger as objects of the API server: read strictly, written with a resourceVersion precondition.
import type { CertificateLedger } from '../api/certificate-ledger.ts';
import { CERTIFICATE_LEDGERS } from '../api/resources.ts';
import type { KubeClient } from '../kube/client.ts';
import { explain } from './errors.ts';
import { decodeEntry, encodeEntry, type StoredEntry } from './ledger-entry.ts';
import type { Page } from './ledger-index.ts';
import { OUR_API_VERSION, OUR_LABELS } from './request-facts.ts';

export type PagesClient = Pick<KubeClient, 'list' | 'get' | 'create' | 'mergePatch' | 'delete'>;

/** A page that does not read. Its message starts with the code. */
export class LedgerBroken extends Error {}

/** What a write does to one page: an entry to put, or undefined to drop it. */
export type PageChanges = ReadonlyMap<string, StoredEntry | undefined>;

const PAGE_NAME = /^ledger-(\d{1,9})$/;
export function pageName(number: number): string {
  return `ledger-${number}`;
}

export function createPages(client: PagesClient, namespace: string) {
  const refOf = (name: string) => ({ name, namespace });
  return {
    /** All pages; throws LedgerBroken when one of them does not read. */
    async list(signal?: AbortSignal): Promise<Page[]> {
      return (await client.list<CertificateLedger>(CERTIFICATE_LEDGERS, { namespace }, signal)).map(readPage);
    },
    async get(name: string, signal?: AbortSignal): Promise<Page | undefined> {
      const object = await client.get<CertificateLedger>(CERTIFICATE_LEDGERS, refOf(name), signal);
      return object === undefined ? undefined : readPage(object);
    },
    async create(number: number, entries: Iterable<StoredEntry>, signal?: AbortSignal): Promise<Page> {
      const object: CertificateLedger = {
        apiVersion: OUR_API_VERSION,
        kind: 'CertificateLedger',
        metadata: { name: pageName(number), namespace, labels: { ...OUR_LABELS } },
        spec: { entries: Object.fromEntries([...entries].map((entry) => [entry.id, encodeEntry(entry)])) },
      };
      return readPage(await client.create(CERTIFICATE_LEDGERS, object, signal));
    },
    /** Fails with a conflict when the page is not the one that was read. A merge patch sends only what changes. */
    async patch(page: Page, changes: PageChanges, signal?: AbortSignal): Promise<Page> {
      const entries = Object.fromEntries([...changes].map(([id, entry]) => [id, entry === undefined ? null : encodeEntry(entry)]));
      const patch = { metadata: { resourceVersion: page.resourceVersion }, spec: { entries } };
      return readPage(await client.mergePatch<CertificateLedger>(CERTIFICATE_LEDGERS, refOf(page.name), patch, {}, signal));
    },
    async delete(page: Page, signal?: AbortSignal): Promise<void> {
      await client.delete(CERTIFICATE_LEDGERS, refOf(page.name), { resourceVersion: page.resourceVersion }, signal);
    },
  };
}
export type Pages = ReturnType<typeof createPages>;

export function readPage(object: CertificateLedger): Page {
  const { name, resourceVersion } = object.metadata;
  const number = PAGE_NAME.exec(name ?? '')?.[1];
  if (name === undefined || number === undefined) {
    // Taken for a page of another name it would hide its entries; ignored it would lose them.
    throw broken(`CertificateLedger ${name} is not named ledger-<n>`);
  }
  const entries = new Map<string, StoredEntry>();
  for (const [id, text] of Object.entries(object.spec?.entries ?? {})) {
    const entry = typeof text === 'string' ? decodeEntry(id, text) : 'it is not a string';
    if (typeof entry === 'string')
      throw broken(`entry ${JSON.stringify(id.slice(0, 64))} of CertificateLedger ${name} does not read: ${entry}`);
    entries.set(id, entry);
  }
  return { name, number: Number(number), resourceVersion: resourceVersion ?? '', entries };
}

function broken(found: string): LedgerBroken {
  return new LedgerBroken(explain('HR-ID-040', found));
}
