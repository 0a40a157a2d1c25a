// Reads the API server's audit log: what was really asked of it, by whom. Used for counts that do not depend on the machine.
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

/** Successful and refused writes of `username` on `resources` since `sinceIso`, by `verb resource[/subresource]`. */
export async function countWrites(
  file: string,
  username: string,
  sinceIso: string,
  resources?: readonly string[],
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for await (const event of auditEvents(file)) {
    if (event.user.username !== username || !WRITES.has(event.verb) || event.requestReceivedTimestamp < sinceIso) continue;
    const { resource = '', subresource } = event.objectRef ?? {};
    if (resources !== undefined && !resources.includes(resource)) continue;
    const name = `${event.verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
