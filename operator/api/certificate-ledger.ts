// CertificateLedger (internal): one page of the log of certificates. A log of pages and not shards by hash, so that a group commit is one write whatever
// the fleet (docs/adr/0006-ledger-and-issuance.md).
import { Type } from 'typebox';
import { conditions, observedGeneration } from './fields.ts';
import { AGE, type KindDefinition, type KindObject } from './kind.ts';
import { CERTIFICATE_LEDGERS } from './resources.ts';
import { map, object, text } from './schema.ts';

/** A page of 512 entries of about 700 characters is 350 KiB: well below etcd's 1.5 MiB, also with managedFields. */
export const MAX_PAGE_ENTRIES = 512;
const MAX_ENTRY_CHARS = 2048;

const spec = object('The entries of this page.', {
  entries: Type.Optional(
    map(
      'One entry per certificate that is not expired, or that was revoked: compact JSON with device, segment, issuer, serial number and hashes, under the id of the entry.',
      text('One entry, compact JSON. Public data only: no keys.', { max: MAX_ENTRY_CHARS, min: 2 }),
      { max: MAX_PAGE_ENTRIES, atomic: true },
    ),
  ),
});

const status = object('Unused: the pages are the state themselves.', {
  observedGeneration: Type.Optional(observedGeneration),
  conditions: Type.Optional(conditions),
});

export const certificateLedgerKind: KindDefinition = {
  resource: CERTIFICATE_LEDGERS,
  singular: 'certificateledger',
  shortNames: [],
  description:
    "A CertificateLedger is one page of the operator's log of certificates: what was issued to whom, and what was revoked. Bans and CRLs derive from it. Written by the operator only; back it up, never edit it.",
  spec,
  status,
  columns: [AGE],
};

export type CertificateLedger = KindObject<typeof spec, typeof status>;
