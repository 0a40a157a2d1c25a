// The memory of who is away, as text in a few pages that outlast the operator. Pure, and total over whatever somebody made of them.
import { createHash } from 'node:crypto';
import type { TouchMemory } from './touch.ts';

/** `data` of one ConfigMap. */
export type PageData = Record<string, string>;

export const PAGES = 8;
/** An object holds 1 MiB. */
const MOST_CHARS = 900_000;
const MINUTE_MS = 60_000;
const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\dZ)((?: [a-z0-9-]{1,63}\.[a-z0-9-]{1,63})+)$/;

/** Devices by the minute in which they were seen last, rounded up: late rather than false. The first page says until when somebody looked. */
export function pagesOf(memory: TouchMemory): PageData[] {
  const minutes = Array.from({ length: PAGES }, () => new Map<number, string[]>());
  for (const [name, lastMs] of memory.away) {
    const page = minutes[pageOf(name)];
    const minute = Math.ceil(lastMs / MINUTE_MS);
    const names = page?.get(minute);
    if (names === undefined) page?.set(minute, [name]);
    else names.push(name);
  }
  return minutes.map((page, at) => ({
    away: textOf(page),
    ...(at === 0 ? { watchedUntil: new Date(memory.watchedUntilMs).toISOString() } : {}),
  }));
}

/** Lines that do not read are left out: their devices count as seen when the operator begins. Undefined when nobody knows until when somebody looked. */
export function memoryOf(pages: readonly (PageData | undefined)[], nowMs: number): TouchMemory | undefined {
  const watchedUntilMs = Date.parse(pages[0]?.watchedUntil ?? '');
  if (Number.isNaN(watchedUntilMs)) return undefined;
  const away = new Map<string, number>();
  for (const page of pages) {
    for (const line of (page?.away ?? '').split('\n')) {
      const [, minute = '', names = ''] = LINE.exec(line) ?? [];
      const lastMs = Date.parse(minute);
      if (Number.isNaN(lastMs)) continue;
      for (const name of names.trimStart().split(' ')) away.set(name, Math.min(lastMs, watchedUntilMs));
    }
  }
  // A clock that was set back: what lies ahead of it lies just behind.
  return { watchedUntilMs: Math.min(watchedUntilMs, nowMs), away: shifted(away, Math.max(0, watchedUntilMs - nowMs)) };
}

function shifted(away: Map<string, number>, byMs: number): Map<string, number> {
  return byMs === 0 ? away : new Map([...away].map(([name, lastMs]) => [name, lastMs - byMs]));
}

/** The oldest first: of a page that is full, those are left out who went last. */
function textOf(page: ReadonlyMap<number, string[]>): string {
  const lines: string[] = [];
  let size = 0;
  for (const [minute, names] of [...page].sort(([a], [b]) => a - b)) {
    const line = `${new Date(minute * MINUTE_MS).toISOString().slice(0, 16)}Z ${names.sort().join(' ')}`;
    size += line.length + 1;
    if (size > MOST_CHARS) break;
    lines.push(line);
  }
  return lines.join('\n');
}

const pageOf = (name: string): number => (createHash('sha1').update(name).digest()[0] ?? 0) % PAGES;
