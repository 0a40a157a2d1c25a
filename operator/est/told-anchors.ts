// What this server tells devices of the CAs of the broker: in /cacerts, and as the signed message that the operator made. Read again all the time: a kubelet replaces the files.
import { readFile } from 'node:fs/promises';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/log.ts';
import { serverAnchors } from '../trust/trust.ts';

export type ToldAnchors = {
  /** DER. */
  anchors(): readonly Buffer[];
  /** Undefined while the operator has made none. */
  message(): string | undefined;
};

const LOOK_EVERY_MS = 10_000;
/** 8 anchors and 4 keys of 4 KiB each, in base64 twice: devices take no more either. */
const MOST_BYTES = 98_304;

export type ToldAnchorsDeps = { anchorsDir: string | undefined; messageFile: string | undefined; clock: Clock; log: Log };

/** `run` reads until the signal aborts; `read` once. What does not read leaves the last good in force: enrolment goes on in any case. */
export function createToldAnchors({ anchorsDir, messageFile, clock, log }: ToldAnchorsDeps) {
  let anchors: readonly Buffer[] = [];
  let message: string | undefined;
  let problem = '';

  async function read(): Promise<void> {
    try {
      if (anchorsDir !== undefined) anchors = await serverAnchors(anchorsDir, clock.now());
      const text = messageFile === undefined ? '' : await readFile(messageFile, 'utf8').catch(absent);
      if (text !== '' && Buffer.byteLength(text) <= MOST_BYTES) message = text;
      problem = '';
    } catch (err) {
      const now = err instanceof Error ? err.message : String(err);
      if (now !== problem) log.warn({ err }, 'the server anchors do not read; the last good ones stay in force');
      problem = now;
    }
  }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
      if (!signal.aborted) await read();
    }
  }

  return { anchors: () => anchors, message: () => message, read, run };
}

function absent(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}
