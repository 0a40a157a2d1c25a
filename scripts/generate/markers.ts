// Pages that people write, with parts that are generated between `<!-- name -->` and `<!-- /name -->`.

/** The page with its generated parts renewed. Throws when a part has no place in the page, or a place no part: neither may be forgotten. */
export function fillMarkers(page: string, file: string, parts: ReadonlyMap<string, string>): string {
  const places = new Set([...page.matchAll(/^<!-- \/(\S+) -->$/gm)].map((match) => match[1] ?? ''));
  for (const name of places) if (!parts.has(name)) throw new Error(`${file} has a place for "${name}", which nothing makes`);
  let filled = page;
  for (const [name, text] of parts) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const [from, to] = [filled.indexOf(begin), filled.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`${file} needs a line ${begin} and after it a line ${end}`);
    filled = `${filled.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${filled.slice(to)}`;
  }
  return filled;
}
