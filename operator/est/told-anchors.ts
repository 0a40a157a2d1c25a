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
  const said = new Map<string, string>();

  async function read(): Promise<void> {
    await attempt('server anchors', async () => {
      if (anchorsDir !== undefined) anchors = await serverAnchors(anchorsDir, clock.now());
    });
    await attempt('message about server anchors', async () => {
      const text = messageFile === undefined ? '' : await readFile(messageFile, 'utf8').catch(absent);
      if (Buffer.byteLength(text) > MOST_BYTES) throw new Error(`it is longer than ${MOST_BYTES} bytes`);
      if (text !== '') message = text;
    });
  }

  /** Each complaint once until it is another one. */
  async function attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      said.delete(what);
    } catch (err) {
      const now = err instanceof Error ? err.message : String(err);
      if (said.get(what) !== now) log.warn({ err }, `the ${what} cannot be read; the last that could stays in force`);
      said.set(what, now);
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
