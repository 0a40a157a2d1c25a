// So many at a time. What fails does not stop the others, unless nothing answers any more.

/** All results are waited for; then the first failure is thrown. After a failure for which `stops` holds, nothing new is begun. */
export async function inParallel<T>(
  items: Iterable<T>,
  width: number,
  work: (item: T) => Promise<void>,
  stops: (error: unknown) => boolean = () => false,
): Promise<void> {
  const queue = [...items];
  const failures: unknown[] = [];
  let next = 0;
  let stopped = false;
  async function worker(): Promise<void> {
    while (next < queue.length && !stopped) {
      const item = queue[next++] as T;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
        stopped ||= stops(error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, queue.length) }, worker));
  if (failures.length > 0) throw failures[0];
}

/** One at a time for each key, in order of asking. */
export function createKeyLock(): (key: string, work: () => Promise<void>) => Promise<void> {
  const tails = new Map<string, Promise<void>>();
  return async (key, work) => {
    const before = tails.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    const tail = mine.catch(() => undefined);
    tails.set(key, tail);
    try {
      await mine;
    } finally {
      if (tails.get(key) === tail) tails.delete(key);
    }
  };
}
