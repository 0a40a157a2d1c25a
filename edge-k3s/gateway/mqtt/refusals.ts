// Filters that the broker did not grant. The rights of a client may come after it, with a policy of somebody else, and nothing tells it: it has to ask again. Pure.

export type Refusals = {
  /** Gives those of which this is news. */
  refused(filters: readonly string[]): string[];
  /** Gives those that were refused before. */
  granted(filters: readonly string[]): string[];
  /** Those to ask for now, longest ago first; they do not wait any more until they are refused again. */
  due(): string[];
  readonly waiting: number;
  /** Nobody wants them any more. */
  drop(filters: readonly string[]): void;
  /** Another connection asks for all of them. */
  clear(): void;
};

/** At once: a client that is denied more than 30 topics in a minute is taken for one that tries what it can get (spec.quarantine.triggers). */
export const MOST_AT_ONCE = 10;

export function createRefusals(): Refusals {
  const known = new Set<string>();
  const waiting = new Set<string>();
  return {
    refused(filters) {
      const news = filters.filter((filter) => !known.has(filter));
      for (const filter of filters) {
        known.add(filter);
        waiting.add(filter);
      }
      return news;
    },
    granted: (filters) => filters.filter((filter) => known.delete(filter)),
    due() {
      const due = [...waiting].slice(0, MOST_AT_ONCE);
      for (const filter of due) waiting.delete(filter);
      return due;
    },
    get waiting() {
      return waiting.size;
    },
    drop(filters) {
      for (const filter of filters) {
        known.delete(filter);
        waiting.delete(filter);
      }
    },
    clear() {
      known.clear();
      waiting.clear();
    },
  };
}
