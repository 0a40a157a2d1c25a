// When which row has to be looked at again. A row has about one entry, however often it changes its mind: what comes too early is put back.
import { createDelayHeap } from '../runtime/delay-heap.ts';
import type { Row } from './row.ts';

export function createAlarms() {
  const heap = createDelayHeap<Row>();
  return {
    set(row: Row, at: number | undefined): void {
      row.dueAt = at;
      if (at === undefined || (row.alarmAt !== undefined && row.alarmAt <= at)) return;
      row.alarmAt = at;
      heap.push(at, row);
    },
    /** Rows whose time has come; each once. */
    *due(now: number): Generator<Row> {
      for (let next = heap.peek(); next !== undefined && next.at <= now; next = heap.peek()) {
        heap.pop();
        const { item: row, at } = next;
        // An entry that an earlier one has overtaken.
        if (row.alarmAt !== at) continue;
        row.alarmAt = undefined;
        if (row.dueAt === undefined) continue;
        if (row.dueAt > now) {
          row.alarmAt = row.dueAt;
          heap.push(row.dueAt, row);
          continue;
        }
        row.dueAt = undefined;
        yield row;
      }
    },
    /** At this time or later something is due. */
    next: (): number | undefined => heap.peek()?.at,
  };
}

export type Alarms = ReturnType<typeof createAlarms>;
