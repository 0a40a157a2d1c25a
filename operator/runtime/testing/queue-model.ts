// What the queue must do, said as slowly and as plainly as possible: one list, searched from the front. The queue is held to it by a property.
import type { Band, Taken } from '../queue.ts';

export type Finish = 'done' | 'retry' | { afterMs: number };

type Waiting = { key: string; band: Band; dueAt: number; order: number };

export class QueueModel {
  #now = 0;
  #order = 0;
  #userTurns = 0;
  #waiting: Waiting[] = [];
  #failures = new Map<string, number>();
  /** Keys being worked on, with what was asked for them meanwhile. */
  #running = new Map<string, { band: Band; again: { band: Band; dueAt: number } | undefined }>();

  get running(): string[] {
    return [...this.#running.keys()];
  }

  get size(): number {
    return this.#waiting.length;
  }

  add(key: string, band: Band, afterMs: number): void {
    const dueAt = this.#now + afterMs;
    const busy = this.#running.get(key);
    if (busy !== undefined) {
      busy.again = { band: better(band, busy.again?.band), dueAt: Math.min(dueAt, busy.again?.dueAt ?? dueAt) };
      return;
    }
    const known = this.#waiting.find((waiting) => waiting.key === key);
    if (known === undefined) {
      this.#waiting.push({ key, band, dueAt, order: ++this.#order });
      return;
    }
    const lifted = better(band, known.band) !== known.band;
    const wasDue = known.dueAt <= this.#now;
    // Whoever changes line, or is due earlier than before, stands at the end of its new place.
    if ((wasDue && lifted) || (!wasDue && dueAt < known.dueAt)) known.order = ++this.#order;
    known.band = better(band, known.band);
    if (!wasDue) known.dueAt = Math.min(dueAt, known.dueAt);
  }

  take(): Taken | undefined {
    const due = this.#waiting.filter((waiting) => waiting.dueAt <= this.#now).sort((a, b) => a.order - b.order);
    const user = due.find((waiting) => waiting.band === 'user');
    const background = due.find((waiting) => waiting.band === 'background');
    const chosen = this.#userTurns >= 32 ? (background ?? user) : (user ?? background);
    if (chosen === undefined) return undefined;
    this.#userTurns = chosen.band === 'user' ? this.#userTurns + 1 : 0;
    this.#waiting = this.#waiting.filter((waiting) => waiting !== chosen);
    this.#running.set(chosen.key, { band: chosen.band, again: undefined });
    return { key: chosen.key, band: chosen.band, attempt: (this.#failures.get(chosen.key) ?? 0) + 1 };
  }

  finish(key: string, how: Finish): void {
    const busy = this.#running.get(key);
    this.#running.delete(key);
    if (how === 'retry') {
      const failures = this.#failures.get(key) ?? 0;
      this.#failures.set(key, failures + 1);
      this.add(key, busy?.band ?? 'user', 5 * 2 ** failures);
    } else {
      this.#failures.delete(key);
      if (how !== 'done') this.add(key, 'background', how.afterMs);
    }
    if (busy?.again !== undefined) this.add(key, busy.again.band, Math.max(0, busy.again.dueAt - this.#now));
  }

  /** Those that become due on the way take their places in the order of their moments. */
  wait(ms: number): void {
    const end = this.#now + ms;
    const becoming = this.#waiting.filter((waiting) => waiting.dueAt > this.#now && waiting.dueAt <= end);
    for (const waiting of becoming.sort((a, b) => a.dueAt - b.dueAt || a.order - b.order)) waiting.order = ++this.#order;
    this.#now = end;
  }
}

const better = (a: Band, b: Band | undefined): Band => (a === 'user' || b === 'user' ? 'user' : 'background');
