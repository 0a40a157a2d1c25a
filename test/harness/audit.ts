// Reads the API server's audit log: what was really asked of it, by whom. Used for counts that do not depend on the machine.
import { createHash, X509Certificate } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

export type AuditEvent = {
  stage: string;
  verb: string;
  user: { username: string };
  objectRef?: { resource?: string; namespace?: string; name?: string; subresource?: string; apiGroup?: string };
  responseStatus?: { code?: number };
  requestObject?: unknown;
  responseObject?: unknown;
  requestReceivedTimestamp: string;
  /** When the answer had been sent. */
  stageTimestamp: string;
};

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Completed requests in the order they were logged. A torn last line (the server was killed) is skipped. */
export async function* auditEvents(file: string): AsyncIterable<AuditEvent> {
  for await (const line of createInterface({ input: createReadStream(file) })) {
    try {
      const event = JSON.parse(line) as AuditEvent;
      if (event.stage === 'ResponseComplete') yield event;
    } catch {
      // Only the last line before a kill -9 can be torn.
    }
  }
}

/** Writes by `verb resource[/subresource]`, those that were refused included, and when the last of them was answered (ms since the epoch). */
export type Tally = { writes: Record<string, number>; lastMs: number };

/** Counts the writes of `username` that `wanted` picks. */
export async function tallyWrites(file: string, username: string, wanted: (event: AuditEvent) => boolean): Promise<Tally> {
  const tally: Tally = { writes: {}, lastMs: 0 };
  for await (const event of auditEvents(file)) {
    if (event.user.username !== username || !WRITES.has(event.verb) || !wanted(event)) continue;
    const { resource = '', subresource } = event.objectRef ?? {};
    const name = `${event.verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
    tally.writes[name] = (tally.writes[name] ?? 0) + 1;
    tally.lastMs = Math.max(tally.lastMs, Date.parse(event.stageTimestamp));
  }
  return tally;
}

/** Every certificate of a device that was ever stored in a CertificateRequest, by its public key (sha256 of the SubjectPublicKeyInfo, hex): one key, one certificate. */
export async function certificatesByKey(file: string): Promise<Map<string, Set<string>>> {
  const byKey = new Map<string, Set<string>>();
  const seen = new Set<string>();
  for await (const { objectRef, responseObject } of auditEvents(file)) {
    if (objectRef?.resource !== 'certificaterequests') continue;
    const encoded = (responseObject as { status?: { certificate?: string } } | undefined)?.status?.certificate;
    if (encoded === undefined || seen.has(encoded)) continue;
    seen.add(encoded);
    const certificate = new X509Certificate(Buffer.from(encoded, 'base64'));
    if (certificate.ca) continue;
    const key = sha256(certificate.publicKey.export({ type: 'spki', format: 'der' }));
    byKey.set(key, (byKey.get(key) ?? new Set()).add(sha256(certificate.raw)));
  }
  return byKey;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
