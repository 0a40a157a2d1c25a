// First in, first out, with O(1) amortised shift: `Array.shift` moves every element, which 100k waiting keys make slow.

export interface Fifo<T> {
  push(item: T): void;
  /** Drops items from the head until one satisfies `valid`, and takes that one. */
  shiftWhere(valid: (item: T) => boolean): T | undefined;
}

/** Below this the memory is not worth a copy. */
const COMPACT_FROM = 1024;

export function createFifo<T>(): Fifo<T> {
  let items: (T | undefined)[] = [];
  let head = 0;

  function peekWhere(valid: (item: T) => boolean): T | undefined {
    for (; head < items.length; head++) {
      const item = items[head];
      if (item !== undefined && valid(item)) return item;
      items[head] = undefined;
    }
    items = [];
    head = 0;
    return undefined;
  }

  return {
    push: (item) => {
      items.push(item);
    },
    shiftWhere(valid) {
      const item = peekWhere(valid);
      if (item === undefined) return undefined;
      items[head++] = undefined;
      if (head >= COMPACT_FROM && head * 2 >= items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
  };
}
