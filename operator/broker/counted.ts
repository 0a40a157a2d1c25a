// What EMQX has counted of one connection, as a row of its clients says it.

/** Of the connection that began at `since` (RFC 3339): PUBLISH packets and bytes that EMQX has received on it. */
export type Counted = { since: string; messages: number; bytes: number };

/** Undefined where the row does not say all of it: a count that cannot be read is no count of nothing. */
export function countedOf(row: unknown): Counted | undefined {
  if (typeof row !== 'object' || row === null) return undefined;
  const { connected_at: since, recv_msg: messages, recv_oct: bytes } = row as Record<string, unknown>;
  return typeof since === 'string' && isCount(messages) && isCount(bytes) ? { since, messages, bytes } : undefined;
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
