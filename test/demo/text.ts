// Text for terminals of any width. Pure.

/** Breaks at spaces so that no line is longer than `width`; lines after the first begin with `indent` spaces. A word that is too long is cut. */
export function wrap(text: string, width: number, indent = 0): string[] {
  const room = Math.max(indent + 8, width);
  const lines: string[] = [];
  let line = '';
  let fresh = true;
  for (const word of text.split(' ')) {
    const joined = fresh ? line + word : `${line} ${word}`;
    if (joined.length <= room || line.trim() === '') line = joined;
    else {
      lines.push(line.trimEnd());
      line = ' '.repeat(indent) + word;
    }
    fresh = false;
    while (line.length > room) {
      lines.push(line.slice(0, room));
      line = ' '.repeat(indent) + line.slice(room);
    }
  }
  return [...lines, line];
}

/** `480 ms`, `2.4 s`, `1 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 90_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** `1 device`, `2 devices`; `plural` where an s is not enough. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}
