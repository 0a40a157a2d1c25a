// One copy of each string that thousands of projections share: segments, models, issuers. JSON.parse makes a new copy each time.

/** Remembers up to `limit` strings, then hands back what it gets: the values come from manifests, and a manifest must not fill the memory. */
export function createInterner(limit = 10_000): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const first = known.get(text);
    if (first !== undefined) return first;
    if (known.size < limit) known.set(text, text);
    return text;
  };
}
