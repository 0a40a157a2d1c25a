// Who waits for an offer, in the order of the release. Those who hold the image already come first: they have less to do.
import { createDelayHeap } from '../runtime/delay-heap.ts';
import type { Row } from './row.ts';

export function createQueue() {
  const staged = createDelayHeap<Row>();
  const fresh = createDelayHeap<Row>();

  function* from(heap: typeof fresh, now: number, isStaged: boolean): Generator<Row> {
    for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
      const { item: row } = next;
      row.isQueued = false;
      // Placed elsewhere since, or put off: an alarm brings it back.
      if (row.place === 'Waiting' && row.notBefore <= now && row.isStaged === isStaged) yield row;
    }
  }
  return {
    add(row: Row): void {
      if (row.isQueued) return;
      row.isQueued = true;
      (row.isStaged ? staged : fresh).push(row.rank, row);
    },
    /** At most so many, of the kinds that may be told something now. Who is not offered it has to be added again. */
    take(most: number, now: number, open: { staged: boolean; fresh: boolean }): Row[] {
      const rows: Row[] = [];
      for (const [heap, isStaged] of [[staged, true] as const, [fresh, false] as const]) {
        if (!(isStaged ? open.staged : open.fresh)) continue;
        const some = from(heap, now, isStaged);
        while (rows.length < most) {
          const { value: row } = some.next();
          if (row === undefined) break;
          rows.push(row);
        }
      }
      return rows;
    },
    isEmpty: (open: { staged: boolean; fresh: boolean }): boolean =>
      (!open.staged || staged.peek() === undefined) && (!open.fresh || fresh.peek() === undefined),
  };
}

export type Queue = ReturnType<typeof createQueue>;
