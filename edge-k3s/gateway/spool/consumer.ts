// One consumer of the spool: what it has, what it may have, what is under way to it.
import type { ClassLog } from './class-log.ts';
import { type Cursor, cursorFile, writeCursor } from './cursor.ts';
import type { Disk } from './disk.ts';
import { CLASSES, type Class } from './layout.ts';
import { minusEach, plus, plusEach, within } from './ranges.ts';
import type { Stored } from './record.ts';

export type Consumer = {
  name: string;
  hasAcked(of: Class, seq: number): boolean;
  /** It has acknowledged it, and that is on disk. */
  hasCertainly(of: Class, seq: number): boolean;
  mayHave(of: Class, seq: number): boolean;
  highest(of: Class): number;
  waiting(): Record<Class, number>;
  /** First what it may have got already, so that what it may have never becomes more than is under way at once. */
  pick(of: Class, limit: number): Promise<Stored[]>;
  offer(records: readonly Stored[]): void;
  /** It may have them, though they were not offered now. */
  mark(of: Class, seqs: readonly number[]): void;
  acknowledge(records: readonly Stored[]): void;
  giveBack(): void;
  gone(of: Class, seqs: readonly number[]): void;
  /** False when there is nothing to save. Its name is certain after the next `syncNames`, then `saved`. */
  save(): Promise<boolean>;
  saved(): void;
};

type Options = { name: string; index: number; logs: Readonly<Record<Class, ClassLog>>; disk: Disk; cursor: Cursor };

/** Under way at once, of one class. */
const MOST_UNDER_WAY = 1_024;

export function createConsumer({ name, index, logs, disk, cursor }: Options): Consumer {
  let now: Cursor = cursor;
  let onDisk: Cursor | undefined = cursor;
  let saving: Cursor | undefined;
  const underWay: Record<Class, Set<number>> = { security: new Set(), alert: new Set(), trend: new Set() };
  const file = cursorFile(name);
  const waitingOf = (of: Class): number => Math.max(0, logs[of].left(index) - underWay[of].size);
  const update = (of: Class, change: Partial<Cursor[Class]>): void => {
    now = { ...now, [of]: { ...now[of], ...change } };
  };
  return {
    name,
    hasAcked: (of, seq) => within(now[of].acked, seq),
    hasCertainly: (of, seq) => onDisk !== undefined && within(onDisk[of].acked, seq),
    mayHave: (of, seq) => within(now[of].offered, seq) || within(now[of].acked, seq),
    highest: (of) => Math.max(now[of].acked.at(-1)?.[1] ?? 0, now[of].offered.at(-1)?.[1] ?? 0),
    waiting: () => ({ security: waitingOf('security'), alert: waitingOf('alert'), trend: waitingOf('trend') }),
    async pick(of, limit) {
      const from = of === 'alert' ? 'newest' : 'oldest';
      const most = Math.min(limit, MOST_UNDER_WAY - underWay[of].size);
      if (most <= 0) return [];
      const { acked, offered } = now[of];
      const isOpen = (seq: number): boolean => !underWay[of].has(seq) && !within(acked, seq);
      const again = await logs[of].read({
        from,
        consumer: index,
        limit: most,
        among: offered,
        wants: (seq) => isOpen(seq) && within(offered, seq),
      });
      if (again.length >= most) return again;
      const wants = (seq: number): boolean => isOpen(seq) && !within(offered, seq);
      return [...again, ...(await logs[of].read({ from, consumer: index, limit: most - again.length, wants }))];
    },
    offer(records) {
      for (const of of CLASSES) {
        const seqs = records.filter((one) => one.class === of).map(({ seq }) => seq);
        for (const seq of seqs) underWay[of].add(seq);
        if (seqs.some((seq) => !within(now[of].offered, seq))) update(of, { offered: plusEach(now[of].offered, seqs) });
      }
    },
    mark(of, seqs) {
      if (seqs.length > 0) update(of, { offered: plusEach(now[of].offered, seqs) });
    },
    acknowledge(records) {
      for (const of of CLASSES) {
        const seqs = records.filter(({ class: one, seq }) => one === of && underWay[of].delete(seq)).map(({ seq }) => seq);
        if (seqs.length === 0) continue;
        logs[of].acked(index, seqs);
        update(of, { acked: plusEach(now[of].acked, seqs), offered: minusEach(now[of].offered, seqs) });
      }
    },
    giveBack() {
      for (const of of CLASSES) underWay[of].clear();
    },
    gone(of, seqs) {
      for (const seq of seqs) underWay[of].delete(seq);
    },
    async save() {
      if (now === onDisk) return false;
      saving = now;
      await disk.remove(`${file}.new`);
      await disk.append(`${file}.new`, writeCursor(saving));
      await disk.sync(`${file}.new`);
      await disk.rename(`${file}.new`, file);
      return true;
    },
    saved() {
      onDisk = saving ?? onDisk;
      saving = undefined;
      for (const of of CLASSES) {
        const below = logs[of].oldest() - 1;
        const [first] = now[of].acked;
        if (below < 1 || (first !== undefined && first[0] === 1 && first[1] >= below)) continue;
        // Nothing is there any more below: one range instead of many.
        update(of, { acked: plus(now[of].acked, 1, below), offered: now[of].offered.filter(([, last]) => last > below) });
      }
    },
  };
}
