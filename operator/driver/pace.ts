// How many offers were made in the last minute. A driver that starts is told of those of the one before it by the directives that the broker keeps.
const MINUTE_MS = 60_000;

/** Offers of the last minute, a count for each moment. */
export function createPace() {
  let spent: { at: number; count: number }[] = [];
  const recent = (now: number): void => {
    if ((spent[0]?.at ?? now) <= now - MINUTE_MS) spent = spent.filter(({ at }) => at > now - MINUTE_MS);
  };
  return {
    add(at: number, count: number): void {
      const last = spent.at(-1);
      if (last?.at === at) last.count += count;
      else if (count > 0) spent.push({ at, count });
      if (last !== undefined && last.at > at) spent.sort((a, b) => a.at - b.at);
    },
    spent(now: number): number {
      recent(now);
      return spent.reduce((sum, { count }) => sum + count, 0);
    },
    /** When the next may be made, after one that was held back by it. */
    freeAt: (now: number): number => (spent[0]?.at ?? now) + MINUTE_MS,
  };
}

export type Pace = ReturnType<typeof createPace>;
