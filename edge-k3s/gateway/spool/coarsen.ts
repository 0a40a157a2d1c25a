// Trends of narrow windows become those of wider ones: less is known, and nothing is lost. Pure but for the given merge.
import { createHash } from 'node:crypto';
import type { Stored } from './record.ts';
import type { StandingOf } from './shrink.ts';

export type Coarsening = {
  /** From narrow to wide. */
  widthsMs: readonly number[];
  /** Corrections and repetitions of a window come while its stream is no further than this: only windows older than that are merged. */
  settleMs: number;
  /** Of payloads of windows that do not overlap. What it throws leaves them as they are. */
  merge(parts: readonly Uint8Array[]): Uint8Array;
};

/**
 * A wider window holds only narrow ones that nobody may have: who gets both adds them up and counts nothing twice. Its times are those of its parts, its key follows
 * from theirs. A correction without the window that it corrects stays as it is: somebody has that one.
 */
export function coarsen(records: readonly Stored[], widthMs: number, how: Coarsening, standing: StandingOf): Stored[] {
  const left = records.filter(({ seq }) => standing(seq) !== 'acked');
  const newest = new Map<string, number>();
  for (const { subject, toMs, lost } of left) if (lost === 0) newest.set(subject, Math.max(newest.get(subject) ?? toMs, toMs));
  const groups = new Map<string, Stored[]>();
  for (const one of left) {
    const start = Math.floor(one.fromMs / widthMs);
    const fits = one.toMs > one.fromMs && one.toMs - one.fromMs < widthMs && one.toMs <= (start + 1) * widthMs;
    const isSettled = one.toMs <= (newest.get(one.subject) ?? 0) - how.settleMs;
    if (one.lost > 0 || !fits || !isSettled || standing(one.seq) !== 'free') continue;
    const name = JSON.stringify([one.subject, one.device, start]);
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  const replaced = new Map<Stored, Stored | undefined>();
  for (const group of groups.values()) merged(group, how, replaced);
  return left.flatMap((one) => (replaced.has(one) ? (replaced.get(one) ?? []) : one)).sort((a, b) => a.seq - b.seq);
}

/** Writes into `replaced` what becomes of each: the last one becomes the wider one. */
function merged(group: readonly Stored[], how: Coarsening, replaced: Map<Stored, Stored | undefined>): void {
  const windows = new Map<string, Stored[]>();
  for (const one of group) windows.set(one.key, [...(windows.get(one.key) ?? []), one]);
  const whole = [...windows.values()].filter((revisions) => revisions.some(({ revision }) => revision === 0));
  const parts = whole.map((revisions) => revisions.reduce((best, one) => (one.revision > best.revision ? one : best)));
  const all = whole.flat();
  const last = all.reduce<Stored | undefined>((latest, one) => (latest === undefined || one.seq > latest.seq ? one : latest), undefined);
  if (last === undefined || all.length < 2) return;
  const wide = parts.length === 1 ? parts[0] : widerOf(parts, how);
  if (wide === undefined) return;
  for (const one of all) replaced.set(one, undefined);
  replaced.set(last, { ...wide, seq: last.seq });
}

/** Undefined when it would need more room than its parts. */
function widerOf(parts: readonly Stored[], { merge }: Coarsening): Stored | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const payload = attempt(() => merge(parts.map((part) => part.payload)));
  const [fromMs, toMs] = [Math.min(...parts.map((part) => part.fromMs)), Math.max(...parts.map((part) => part.toMs))];
  const hash = createHash('sha256').update(JSON.stringify(parts.map((part) => [part.key, part.revision])));
  const key = `wide/${fromMs}-${toMs}/${hash.digest('hex').slice(0, 32)}`;
  const room = parts.reduce((sum, part) => sum + part.payload.length + part.key.length, 0);
  if (payload === undefined || payload.length + key.length > room) return undefined;
  return { ...first, key, fromMs, toMs, revision: 0, payload };
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
