// How an image comes into a slot: the statement first, then bytes in pieces that are written down, then the digest of all of them.
import { imageFile, type Services, type Slot, statementFile } from './bootloader.ts';
import { sha256 } from './envelope.ts';
import { type Flash, NoSpace } from './flash.ts';
import type { Directive } from './form.ts';

/** At most `most` bytes from `from` on (Range); a status that is no success; or a connection that broke. */
export type Fetch = (url: string, from: number, most: number) => Promise<{ bytes: Buffer } | { status: number } | 'broken'>;

type Means = {
  flash: Flash;
  fetch: Fetch;
  wait(ms: number): Promise<void>;
  now: number | undefined;
  classId: string;
  slot: Slot;
  services: Services;
};

/** The next offset, none when all of it is there and right, or how it ended. */
export type Step = { offset: number | undefined } | { code: number; rejected: boolean };

const PIECE = 65_536;
const MOST_STATEMENT = 65_536;
const TRIES = 6;

/** One piece; `offset` undefined: it has not begun. */
export async function bring(directive: Directive, offset: number | undefined, means: Means): Promise<Step> {
  const { artifact, release } = directive;
  if (artifact === undefined || release === undefined) return { code: 16, rejected: false };
  try {
    return await piece(directive, offset, means);
  } catch (error) {
    if (error instanceof NoSpace) return { code: 7, rejected: false };
    throw error;
  }
}

async function piece(directive: Directive, offset: number | undefined, means: Means): Promise<Step> {
  const { size = 0, digest, urls = [] } = directive.artifact ?? {};
  if (offset === undefined) return begin(directive, means);
  const { flash, slot } = means;
  // What is in the slot counts, not what came: it may have come before a power cut.
  if (offset === size) return sha256(flash.read(imageFile(slot))) === digest ? { offset: undefined } : { code: 2, rejected: false };
  const got = await fetched(urls, offset, Math.min(PIECE, size - offset), means);
  if (typeof got === 'number') return { code: got, rejected: false };
  flash.write(imageFile(slot), offset, got);
  flash.sync(imageFile(slot));
  return { offset: offset + got.length };
}

async function begin({ release, artifact }: Directive, means: Means): Promise<Step> {
  const { flash, slot, services, now } = means;
  const rooted = await roots(release?.roots, means);
  if (rooted !== undefined) return rooted;
  if (now !== undefined && now >= services.rootExpires()) return { code: 6, rejected: true };
  const statement = await fetched(release?.urls ?? [], 0, MOST_STATEMENT, means);
  if (typeof statement === 'number') return { code: statement, rejected: false };
  const judged = services.judge(statement);
  if (typeof judged === 'number') return { code: judged, rejected: true };
  const { version, securityCounter, digest, artifacts } = judged;
  const found = artifacts.find((one) => one.digest === artifact?.digest && one.size === artifact.size);
  const isThat = digest === release?.digest && version === artifact?.version && securityCounter === artifact.securityCounter;
  if (!isThat || found === undefined) return { code: 2, rejected: true };
  if (found.classIds !== undefined && !found.classIds.includes(means.classId)) return { code: 3, rejected: true };
  for (const file of [imageFile(slot), statementFile(slot)]) flash.truncate(file, 0);
  flash.write(statementFile(slot), 0, statement);
  for (const file of [imageFile(slot), statementFile(slot)]) flash.sync(file);
  return { offset: 0 };
}

/** Root by root, each signed by the one before it. */
async function roots(wanted: { version: number; url: string } | undefined, means: Means): Promise<Step | undefined> {
  const { services } = means;
  if (wanted === undefined) return undefined;
  for (let version = services.rootVersion() + 1; version <= wanted.version; version++) {
    const bytes = await fetched([`${wanted.url}/${version}.root.json`], 0, MOST_STATEMENT, means);
    if (typeof bytes === 'number') return { code: bytes, rejected: false };
    if (!services.advanceRoot(bytes)) return { code: 1, rejected: true };
  }
  return undefined;
}

/** From the first place that answers, or an error code. A refusal ends it; a broken connection is tried again, later each time. */
async function fetched(urls: readonly string[], from: number, most: number, { fetch, wait }: Means): Promise<Buffer | number> {
  for (let tries = 0; tries < TRIES; tries++) {
    const url = urls[tries % urls.length];
    const answer = url === undefined ? ({ status: 404 } as const) : await fetch(url, from, most);
    if (answer !== 'broken' && 'bytes' in answer && answer.bytes.length > 0) return answer.bytes.subarray(0, most);
    if (answer !== 'broken' && 'status' in answer && answer.status < 500) return 8;
    await wait(1000 * 2 ** tries);
  }
  return 8;
}
