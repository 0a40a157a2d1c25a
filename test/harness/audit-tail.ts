// Follows the audit log while it grows, cheaply: lines are searched, not parsed. For "after the 137th write of the operator", which is the same point on every machine.
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';

export type AuditTail = {
  /** Reads what was added, and gives how many writes were picked since the tail was opened. */
  count(): number;
  close(): void;
};

/** Counts writes of `username` whose line holds every one of `parts`, from the end that the log has now. */
export function tailAudit(file: string, username: string, parts: readonly string[] = []): AuditTail {
  let offset = existsSync(file) ? statSync(file).size : 0;
  let rest = '';
  let count = 0;
  let descriptor: number | undefined;
  const chunk = Buffer.alloc(256 * 1024);
  const wanted = [`"user":{"username":"${username}"`, '"stage":"ResponseComplete"', ...parts];

  function take(text: string): void {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (WRITE.test(line) && wanted.every((part) => line.includes(part))) count += 1;
  }

  return {
    count() {
      if (descriptor === undefined && !existsSync(file)) return count;
      descriptor ??= openSync(file, 'r');
      for (;;) {
        const size = readSync(descriptor, chunk, 0, chunk.length, offset);
        if (size === 0) return count;
        offset += size;
        take(chunk.toString('latin1', 0, size));
      }
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

const WRITE = /"verb":"(?:create|update|patch|delete|deletecollection)"/;
