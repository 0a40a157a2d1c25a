// A binary heap of what is due when: earliest on top, and of two alike the one that came first.

export type Due<T> = { at: number; sequence: number; item: T };

export interface DelayHeap<T> {
  push(at: number, item: T): void;
  peek(): Due<T> | undefined;
  pop(): Due<T> | undefined;
}

export function createDelayHeap<T>(): DelayHeap<T> {
  const heap: Due<T>[] = [];
  let sequence = 0;

  function siftUp(from: number, node: Due<T>): void {
    let at = from;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1];
      if (parent === undefined || !before(node, parent)) break;
      heap[at] = parent;
      at = (at - 1) >> 1;
    }
    heap[at] = node;
  }

  function siftDown(node: Due<T>): void {
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const child = right !== undefined && left !== undefined && before(right, left) ? right : left;
      if (child === undefined || !before(child, node)) break;
      heap[at] = child;
      at = child === left ? 2 * at + 1 : 2 * at + 2;
    }
    heap[at] = node;
  }

  return {
    push(at, item) {
      const node = { at, sequence: sequence++, item };
      heap.push(node);
      siftUp(heap.length - 1, node);
    },
    peek: () => heap[0],
    pop() {
      const first = heap[0];
      const last = heap.pop();
      if (last !== undefined && heap.length > 0) siftDown(last);
      return first;
    },
  };
}

const before = (a: { at: number; sequence: number }, b: { at: number; sequence: number }): boolean =>
  a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
