/** The recordings: what was sent to a running EMQX and what it answered (testdata/about.json says how). */

import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json } from '../config.ts';

export type RecordedRequest = { method: string; path: string; auth?: string; headers?: Record<string, string>; body?: Json };
export type RecordedResponse = { status: number; headers?: Record<string, string>; 'content-type'?: string; body?: Json };
export type Entry = { name: string; request?: RecordedRequest; response?: RecordedResponse } & Record<string, Json | object | undefined>;
export type Exchange = Entry & { request: RecordedRequest; response: RecordedResponse };

/** The stand-in is a 5.8.9; what 5.10.4 answers alike is played too. */
export type Version = '5.8.9' | '5.10.4';

/** File name without `.json` to its entries, in the order they were recorded. */
export function recordings(version: Version = '5.8.9'): Map<string, Entry[]> {
  const folder = fileURLToPath(new URL(`../testdata/${version}/`, import.meta.url));
  const files = globSync('*.json', { cwd: folder }).sort();
  return new Map(files.map((file) => [basename(file, '.json'), readEntries(`${folder}${file}`)]));
}

function readEntries(file: string): Entry[] {
  return (JSON.parse(readFileSync(file, 'utf8')) as { entries: Entry[] }).entries;
}

export function isExchange(entry: Entry): entry is Exchange {
  return entry.request !== undefined && entry.response !== undefined;
}
