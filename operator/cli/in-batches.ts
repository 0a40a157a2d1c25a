// Many things, some at a time, in their order.

const WIDTH = 16;

/** The next batch begins when the one before has been worked off; what is thrown ends it. */
export async function inBatches<T>(items: readonly T[], work: (batch: readonly T[]) => Promise<void>, width = WIDTH): Promise<void> {
  for (let from = 0; from < items.length; from += width) await work(items.slice(from, from + width));
}
