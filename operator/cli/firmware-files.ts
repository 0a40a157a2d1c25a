// The files that firmware is trusted by: roots, keys, envelopes and the firmware itself. Each has a bound, for whoever sends one may be a stranger.
import { createHash } from 'node:crypto';
import { createReadStream, promises as fs } from 'node:fs';
import { join } from 'node:path';
import {
  explainFirmware,
  MAX_ROOT_BYTES,
  type Problem,
  type PublicKey,
  publicKeyFrom,
  type Result,
  type SigningKey,
  signingKeyFrom,
} from '../firmware/firmware.ts';
import { printable } from './adoption-text.ts';
import { CliError } from './errors.ts';

/** Beside the roots, until enough have signed it. */
export const DRAFT = 'next.root.json';
const MAX_KEY_BYTES = 16 * 1024;

/** The value; else the command ends with the code, the file's name in front of what was found. */
export function good<T>(result: Result<T>, file: string): T {
  if (result.ok) return result.value;
  throw refusal(result.problem, file);
}

/** What was found may hold words of the file, and the file may be a stranger's. */
export const refusal = (problem: Problem, file: string): Error => new Error(printable(explainFirmware(problem, file)));

/** At most `most` bytes and one more: enough to see that it is too large. */
export async function bytesOf(path: string, most: number): Promise<Buffer> {
  return (await bytesIfThere(path, most)) ?? Promise.reject(unreadable(path, { code: 'ENOENT' }));
}

export async function bytesIfThere(path: string, most: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(path, { end: most })) chunks.push(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, error as NodeJS.ErrnoException);
  }
  return Buffer.concat(chunks);
}

/** Every file of the folder whose name ends in .root.json, by its name; the draft is none of the roots. */
export async function rootsIn(dir: string): Promise<Map<string, Buffer>> {
  const names = await fs.readdir(dir).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(dir, error);
  });
  const roots = names.filter((name) => name.endsWith('.root.json') && name !== DRAFT).sort();
  return new Map(await Promise.all(roots.map(async (name) => [name, await bytesOf(join(dir, name), MAX_ROOT_BYTES)] as const)));
}

export async function privateKeyIn(path: string): Promise<SigningKey> {
  return good(signingKeyFrom((await bytesOf(path, MAX_KEY_BYTES)).toString('latin1')), path);
}

export async function publicKeyIn(path: string): Promise<PublicKey> {
  return good(publicKeyFrom((await bytesOf(path, MAX_KEY_BYTES)).toString('latin1')), path);
}

/** Of a file of any size, read piece by piece. */
export async function digestOfFile(path: string): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of createReadStream(path)) {
      hash.update(chunk as Buffer);
      size += (chunk as Buffer).length;
    }
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException);
  }
  return { sha256: hash.digest('hex'), size };
}

function unreadable(path: string, { code = 'unknown' }: { code?: string | undefined }): CliError {
  return new CliError('HR-CLI-004', `${path} (${code})`);
}
