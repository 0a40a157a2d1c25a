// One entry of the certificate ledger and its text in a page. Reading is strict: an entry that does not read stops everything loudly, it is never skipped.

/** `Superseded`: the certificate alone, because it stood in the way of its successor; its key may be certified again. */
export type RevocationReason = 'Revoked' | 'Retired' | 'Moved' | 'Compromised' | 'Superseded';
export type Revocation = { at: string; reason: RevocationReason; by: string };
/** Existing: made by another CA, and only recorded here. */
export type IssuedVia = 'CSR' | 'Managed' | 'EST' | 'Existing';

/** One certificate. Kept until it expires; a revoked one for ever, because its key may never be certified again. */
export type LedgerEntry = {
  /** First 32 hex digits of `sha256`, so that recording a certificate twice is recording it once. */
  id: string;
  /** `<device>.<namespace>` */
  device: string;
  deviceUid: string;
  /** `<segment>.<namespace>`, the OU. */
  segment: string;
  /** `<kind>/<namespace>/<name>`; the namespace is empty for a ClusterIssuer. `External//<name>`: no issuer of this cluster. */
  issuer: string;
  /** Lower hex, as are the hashes: md5 and sha256 of the certificate's DER, spki = sha256 of its SubjectPublicKeyInfo. */
  serial: string;
  md5: string;
  sha256: string;
  spki: string;
  /** ISO 8601. */
  notBefore: string;
  notAfter: string;
  via: IssuedVia;
  /** Until when an expired one may still re-enrol (offlineBudget): the entry stays as long. */
  keepUntil?: string;
  /** EST: the key of spec.identity.csr at that time, which this certificate took the place of. */
  replaces?: string;
  /** When the newest Rotate was created that this certificate came after: that one is not about it any more. */
  afterRotation?: string;
  /** Which CA signed it, see signer.ts; absent when nobody could tell, and in entries of before. */
  ca?: string;
  revoked?: Revocation;
};

/** A key that was approved for a Device and whose certificate was not seen yet: cert-manager writes the Secret of a `Managed` device before we can read the certificate. */
export type PendingEntry = {
  id: string;
  pending: true;
  device: string;
  deviceUid: string;
  segment: string;
  issuer: string;
  spki: string;
  /** The latest moment at which a certificate for this approval could expire. */
  notAfter: string;
  via: IssuedVia;
  revoked?: Revocation;
};

export type StoredEntry = LedgerEntry | PendingEntry;

/** The longest `revoked.by`. */
export const MAX_BY_CHARS = 256;

export function certificateEntryId(sha256: string): string {
  return sha256.slice(0, 32);
}

export function pendingEntryId(spki: string): string {
  return `pending-${spki.slice(0, 32)}`;
}

export function isPending(entry: StoredEntry): entry is PendingEntry {
  return 'pending' in entry;
}

/** May the entry leave its page? One hour of grace for clocks that differ; what was revoked stays for ever. */
export function isExpendable(entry: StoredEntry, now: number): boolean {
  const keepUntil = isPending(entry) ? undefined : entry.keepUntil;
  const end = Math.max(Date.parse(entry.notAfter), keepUntil === undefined ? 0 : Date.parse(keepUntil));
  return entry.revoked === undefined && end + GRACE_MS < now;
}
const GRACE_MS = 3_600_000;

/**
 * Whether a key may never be certified again for this Device, from the entries of all its certificates. A certificate that a move ended, or that stood in the way of its
 * successor, leaves its key good for the same Device: nothing happened to the key (docs/adr/0015-segment-move.md, 0012-rotation.md).
 */
export function isKeyRevoked(entries: readonly LedgerEntry[], deviceUid: string): boolean {
  return entries.some(({ revoked, deviceUid: owner }) => revoked !== undefined && !(isMild(revoked.reason) && owner === deviceUid));
}

/** Whether an entry is to be marked: what was revoked stays as it was, but for a certificate alone that a graver reason follows. */
export function isGraver(reason: RevocationReason, before: Revocation | undefined): boolean {
  return before === undefined || (isMild(before.reason) && !isMild(reason));
}

/** The certificate went, its key stays good. */
function isMild(reason: RevocationReason): boolean {
  return reason === 'Moved' || reason === 'Superseded';
}

/** Compact JSON with the fields in one order, without the id (which is the key in the page). */
export function encodeEntry(entry: StoredEntry): string {
  const fields = isPending(entry) ? PENDING_FIELDS : CERTIFICATE_FIELDS;
  return JSON.stringify(entry, [...fields.keys(), ...OPTIONAL_FIELDS.keys(), 'pending', 'revoked', ...REVOCATION_FIELDS.keys()]);
}

/** The entry, or in one sentence why the text is none. Hashes and names are not repeated in it. */
export function decodeEntry(id: string, text: string): StoredEntry | string {
  const value = parseObject(text);
  if (value === undefined) return 'it is not a JSON object';
  const pending = value.pending === true;
  const fields = pending ? PENDING_FIELDS : CERTIFICATE_FIELDS;
  const known = new Set([...fields.keys(), 'revoked', ...(pending ? ['pending'] : OPTIONAL_FIELDS.keys())]);
  const unknown = Object.keys(value).find((name) => !known.has(name));
  if (unknown !== undefined) return `it has the unknown field ${JSON.stringify(unknown.slice(0, 40))}`;
  const present = new Map([...OPTIONAL_FIELDS].filter(([name]) => value[name] !== undefined));
  const wrong =
    firstWrong(value, fields) ?? firstWrong(value, present) ?? (value.revoked === undefined ? undefined : wrongRevocation(value.revoked));
  if (wrong !== undefined) return `its field ${wrong} is missing or malformed`;
  const entry = { ...value, id } as StoredEntry;
  const expected = isPending(entry) ? pendingEntryId(entry.spki) : certificateEntryId(entry.sha256);
  return expected === id ? entry : 'its key in the page does not belong to its content';
}

type Check = (value: string) => boolean;
const matches =
  (pattern: RegExp): Check =>
  (value) =>
    pattern.test(value);
const isTime: Check = (value) => /^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value));
const WIRE_NAME = matches(/^[a-z0-9-]+\.[a-z0-9-]+$/);
const SHARED_FIELDS: [string, Check][] = [
  ['device', WIRE_NAME],
  ['deviceUid', matches(/^.{1,128}$/)],
  ['segment', WIRE_NAME],
  ['issuer', matches(/^(Issuer|ClusterIssuer|External)\/[^/]*\/[^/]+$/)],
  ['spki', matches(/^[0-9a-f]{64}$/)],
  ['notAfter', isTime],
  ['via', matches(/^(CSR|Managed|EST|Existing)$/)],
];
const PENDING_FIELDS: ReadonlyMap<string, Check> = new Map(SHARED_FIELDS);
const CERTIFICATE_FIELDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ...SHARED_FIELDS,
  ['serial', matches(/^[0-9a-f]{1,64}$/)],
  ['md5', matches(/^[0-9a-f]{32}$/)],
  ['sha256', matches(/^[0-9a-f]{64}$/)],
  ['notBefore', isTime],
]);
const OPTIONAL_FIELDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['keepUntil', isTime],
  ['replaces', matches(/^[0-9a-f]{64}$/)],
  ['afterRotation', isTime],
  ['ca', matches(/^[0-9a-f]{32}$/)],
]);
const REVOCATION_FIELDS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['at', isTime],
  ['reason', matches(/^(Revoked|Retired|Moved|Compromised|Superseded)$/)],
  ['by', (value) => value.length > 0 && value.length <= MAX_BY_CHARS],
]);

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function firstWrong(value: Record<string, unknown>, fields: ReadonlyMap<string, Check>): string | undefined {
  for (const [name, check] of fields) {
    const field = value[name];
    if (typeof field !== 'string' || !check(field)) return name;
  }
  return undefined;
}

function wrongRevocation(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'revoked';
  const revocation = value as Record<string, unknown>;
  if (Object.keys(revocation).length !== REVOCATION_FIELDS.size) return 'revoked';
  const wrong = firstWrong(revocation, REVOCATION_FIELDS);
  return wrong === undefined ? undefined : `revoked.${wrong}`;
}
