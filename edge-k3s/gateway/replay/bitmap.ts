// Which of the last sequence numbers were there: RFC 6479. A ring of words with one more than the window needs, so that it moves on by clearing whole words. Pure.

export type Bitmap = { readonly size: number; readonly top: number; readonly words: Uint32Array };

const BITS = 32;

/** Nothing was there. `size`: how far back of the highest number others are still taken. */
export const emptyBitmap = (size: number): Bitmap => ({ size, top: 0, words: new Uint32Array(Math.ceil(size / BITS) + 1) });

export type Seen = 'new' | 'seen' | 'too old';

/** `seq`: a whole number from 1 on. */
export function look({ size, top, words }: Bitmap, seq: number): Seen {
  if (seq > top) return 'new';
  if (top - seq >= size) return 'too old';
  return ((words[wordOf(words, seq)] ?? 0) & bitOf(seq)) === 0 ? 'new' : 'seen';
}

/** Of a number that is new. The words are changed in place: the bitmap before is of no more use. */
export function mark({ size, top, words }: Bitmap, seq: number): Bitmap {
  if (seq > top) {
    const [from, to] = [Math.floor(top / BITS), Math.floor(seq / BITS)];
    for (let block = Math.max(from + 1, to - words.length + 1); block <= to; block++) words[block % words.length] = 0;
  }
  const at = wordOf(words, seq);
  words[at] = ((words[at] ?? 0) | bitOf(seq)) >>> 0;
  return { size, top: Math.max(top, seq), words };
}

/** Where the old window did not reach, everything counts as seen. */
export function resized(old: Bitmap, size: number): Bitmap {
  let made: Bitmap = { ...emptyBitmap(size), top: old.top };
  for (let seq = Math.max(1, old.top - size + 1); seq <= old.top; seq++) if (look(old, seq) !== 'new') made = mark(made, seq);
  return made;
}

const wordOf = (words: Uint32Array, seq: number): number => Math.floor(seq / BITS) % words.length;
const bitOf = (seq: number): number => (1 << (seq % BITS)) >>> 0;
