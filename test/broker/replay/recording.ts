/** The recordings: what was sent to a running EMQX 5.8.9 and what it answered (testdata/about.json says how). */

import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json } from '../config.ts';

export type RecordedRequest = { method: string; path: string; auth?: string; headers?: Record<string, string>; body?: Json };
export type RecordedResponse = { status: number; headers?: Record<string, string>; 'content-type'?: string; body?: Json };
export type Entry = { name: string; request?: RecordedRequest; response?: RecordedResponse } & Record<string, Json | object | undefined>;
export type Exchange = Entry & { request: RecordedRequest; response: RecordedResponse };

const FOLDER = fileURLToPath(new URL('../testdata/5.8.9/', import.meta.url));

/** File name without `.json` to its entries, in the order they were recorded. */
export function recordings(): Map<string, Entry[]> {
  const files = globSync('*.json', { cwd: FOLDER }).sort();
  return new Map(files.map((file) => [basename(file, '.json'), readEntries(file)]));
}

function readEntries(file: string): Entry[] {
  return (JSON.parse(readFileSync(`${FOLDER}${file}`, 'utf8')) as { entries: Entry[] }).entries;
}

export function isExchange(entry: Entry): entry is Exchange {
  return entry.request !== undefined && entry.response !== undefined;
}
