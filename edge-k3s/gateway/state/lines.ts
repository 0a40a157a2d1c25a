// The files of the state, byte by byte. Pure. A journal has a line for each event; a snapshot a line for each line of a part, and its sum at the end: it counts whole or not at all.
import { crc32 } from 'node:zlib';
import type { Event } from '../core/event.ts';
import type { Part } from '../core/part.ts';

const SUM = 8;
const SNAPSHOT = 'hedgerow gateway state 1';

export function eventLine(event: Event): string {
  const text = JSON.stringify(event);
  return `${sumOf(text)} ${text}\n`;
}

/** `end`: of the last whole line; what follows it was being written when the power went. `damaged`: lines before it that are not as they were written. */
export function readJournal(file: Buffer): { events: Event[]; end: number; damaged: number } {
  const result = { events: [] as Event[], end: 0, damaged: 0 };
  let [start, bad] = [0, 0];
  for (let stop = file.indexOf(10); stop >= 0; stop = file.indexOf(10, start)) {
    const text = file.toString('utf8', start + SUM + 1, stop);
    const isWhole = stop - start > SUM + 1 && file.toString('latin1', start, start + SUM) === sumOf(text);
    start = stop + 1;
    if (!isWhole) {
      bad += 1;
      continue;
    }
    result.events.push(JSON.parse(text) as Event);
    result.end = start;
    result.damaged += bad;
    bad = 0;
  }
  return result;
}

export function snapshotBytes(parts: readonly Part[]): Buffer {
  const lines = [SNAPSHOT];
  for (const part of parts) {
    lines.push(`#${part.name}`);
    for (const line of part.snapshot()) lines.push(` ${line}`);
  }
  const text = Buffer.from(`${lines.join('\n')}\n`);
  return Buffer.concat([text, Buffer.from(sumOf(text))]);
}

/** Lines by part; undefined when it is not as it was written. */
export function readSnapshot(file: Buffer): Map<string, string[]> | undefined {
  const text = file.subarray(0, Math.max(0, file.length - SUM));
  if (file.toString('latin1', text.length) !== sumOf(text)) return undefined;
  const [head, ...lines] = text.toString('utf8').split('\n');
  if (head !== SNAPSHOT) return undefined;
  const parts = new Map<string, string[]>();
  let own: string[] = [];
  for (const line of lines) {
    if (line.startsWith('#')) {
      own = [];
      parts.set(line.slice(1), own);
    } else if (line.startsWith(' ')) own.push(line.slice(1));
  }
  return parts;
}

const sumOf = (bytes: string | Buffer): string => crc32(bytes).toString(16).padStart(SUM, '0');
