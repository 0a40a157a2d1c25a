// What the broker was last seen to hold, kept true by our own writes between two full reads.

export interface Shelf<T> {
  get(key: string): T | undefined;
  set(key: string, value: T): void;
  delete(key: string): void;
  keys(): IterableIterator<string>;
  readonly size: number;
  /** To be called before a full read is asked for. */
  mark(): number;
  /** The full read that began at `mark`: what was written since then is newer than it. */
  load(entries: Iterable<readonly [string, T]>, mark: number): void;
}

export function createShelf<T>(): Shelf<T> {
  let held = new Map<string, T>();
  const writtenAt = new Map<string, number>();
  let writes = 0;
  const wrote = (key: string): void => void writtenAt.set(key, ++writes);
  return {
    get: (key) => held.get(key),
    set(key, value) {
      held.set(key, value);
      wrote(key);
    },
    delete(key) {
      held.delete(key);
      wrote(key);
    },
    keys: () => held.keys(),
    get size() {
      return held.size;
    },
    mark: () => writes,
    load(entries, mark) {
      const next = new Map(entries);
      for (const [key, at] of writtenAt) {
        if (at <= mark) {
          writtenAt.delete(key);
          continue;
        }
        const value = held.get(key);
        if (value === undefined) next.delete(key);
        else next.set(key, value);
      }
      held = next;
    },
  };
}
