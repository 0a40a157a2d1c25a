// One question to a CRL server. The answer is a stranger's until its signature is checked: bounded in time and size, no redirects.
import type { Clock } from '../runtime/clock.ts';

export type Fetched = { status: number; etag: string | undefined; body: Buffer };
export type FetchList = (url: string, etag: string | undefined, signal: AbortSignal) => Promise<Fetched>;

const DEADLINE_MS = 15_000;
/** A million revoked certificates are 53 MB. */
const MOST_BYTES = 64 * 1024 * 1024;

export function createFetchList(clock: Clock): FetchList {
  return async (url, etag, signal) => {
    const deadline = new AbortController();
    const timer = clock.setTimer(DEADLINE_MS, () => deadline.abort(new Error('no answer in time')));
    try {
      const answer = await fetch(url, {
        headers: etag === undefined ? {} : { 'if-none-match': etag },
        redirect: 'error',
        signal: AbortSignal.any([signal, deadline.signal]),
      });
      return { status: answer.status, etag: answer.headers.get('etag') ?? undefined, body: await bodyOf(answer) };
    } finally {
      timer.cancel();
    }
  };
}

async function bodyOf(answer: Response): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body ?? []) {
    size += part.length;
    if (size > MOST_BYTES) throw new Error('the answer is too long for a list');
    parts.push(part);
  }
  return Buffer.concat(parts);
}
