// Tokens for the devices of an import: in one file of the folder, that only its owner may read, before the cluster has their hashes. Killed at any point, the next run
// goes on with the tokens that the file holds; a token that was used meanwhile stays used.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freshTokenRecord } from '../est/est.ts';
import { CliError } from './errors.ts';
import { writeWhole } from './import-files.ts';
import { tokenText } from './token-device.ts';
import { storeTokens, type TokenStoreDeps } from './token-store.ts';

export type TokenPlan = { dir: string; namespace: string; names: readonly string[]; ttlMs: number; random: (bytes: number) => Buffer };
type Token = { token: string; expires: string };

const HEADER = 'name,token,expires';
const LINE = /^([a-z0-9-]{1,63}),([A-Za-z0-9_-]{43}),(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/;
const TOKEN_BYTES = 32;

/** Gives how many are new. */
export async function importTokens(deps: TokenStoreDeps, plan: TokenPlan): Promise<number> {
  const { dir, namespace, names, ttlMs, random } = plan;
  if (names.length === 0) return 0;
  const path = join(dir, 'tokens.csv');
  const held = await heldTokens(path);
  const now = deps.clock.now();
  const expires = `${new Date(now + ttlMs).toISOString().slice(0, 19)}Z`;
  const isGood = (one: Token | undefined): boolean => one !== undefined && Date.parse(one.expires) > now;
  const missing = names.filter((name) => !isGood(held.get(name)));
  for (const name of missing) held.set(name, { token: tokenText(random(TOKEN_BYTES)), expires });
  const lines = [...held].map(([name, { token, expires: end }]) => `${name},${token},${end}\n`);
  if (missing.length > 0) await writeWhole(path, `${HEADER}\n${lines.join('')}`, 0o600);
  const wanted = new Set(names);
  const records = [...held]
    .filter(([name]) => wanted.has(name))
    .map(([name, one]) => [name, freshTokenRecord(one.token, Date.parse(one.expires))] as const);
  await storeTokens(deps, namespace, new Map(records), true);
  return missing.length;
}

async function heldTokens(path: string): Promise<Map<string, Token>> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return `${HEADER}\n`;
    throw new CliError('HR-CLI-004', `${path} (${error.code ?? 'unknown'})`);
  });
  const [header, ...lines] = text.split('\n');
  const held = new Map<string, Token>();
  for (const line of lines.filter((one) => one !== '')) {
    const [, name, token, expires] = LINE.exec(line) ?? [];
    // Somebody edited it: writing it anew would lose what stands there.
    if (header !== HEADER || name === undefined || token === undefined || expires === undefined)
      throw new CliError('HR-CLI-043', `${path} is no list of tokens as an import writes it`);
    held.set(name, { token, expires });
  }
  return held;
}
