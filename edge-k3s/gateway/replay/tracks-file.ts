// What a gateway remembers of its devices from one start to the next: a line for each device as it was when the file was begun, then one for each message since. Pure.
import { crc32 } from 'node:zlib';
import { emptyBitmap, look, mark } from './bitmap.ts';
import type { Track } from './decide.ts';

type Gap = readonly [fromMs: number, toMs: number] | null;
type Whole = readonly ['is', device: string, boot: number, size: number, top: number, words: string, liveMs: number, gap: Gap];
type Step = readonly ['had', device: string, boot: number, size: number, seq: number, liveMs: number, gap: Gap];

export function wholeLine(device: string, { boot, seen, liveMs, gap }: Track): string {
  const words = Buffer.from(new Uint8Array(seen.words.buffer.slice(0))).toString('base64');
  return lineOf(['is', device, boot, seen.size, seen.top, words, liveMs, gapOf(gap)] satisfies Whole);
}

export function stepLine(device: string, { boot, seen, liveMs, gap }: Track, seq: number): string {
  return lineOf(['had', device, boot, seen.size, seq, liveMs, gapOf(gap)] satisfies Step);
}

export type TracksRead = {
  tracks: Map<string, Track>;
  /** Bytes up to the last whole line. */
  bytes: number;
  /** Lines before it that are not as they were written. */
  damaged: number;
};

export function readTracks(file: Buffer): TracksRead {
  const result: TracksRead = { tracks: new Map(), bytes: 0, damaged: 0 };
  let [start, bad] = [0, 0];
  for (let end = file.indexOf(10); end >= 0; end = file.indexOf(10, start)) {
    const line = fieldsOf(file.subarray(start, end));
    start = end + 1;
    if (line === undefined) {
      bad += 1;
      continue;
    }
    apply(result.tracks, line);
    result.bytes = start;
    result.damaged += bad;
    bad = 0;
  }
  return result;
}

function apply(tracks: Map<string, Track>, line: Whole | Step): void {
  const gapIn = (gap: Gap): Track['gap'] => (gap === null ? undefined : { fromMs: gap[0], toMs: gap[1] });
  if (line[0] === 'is') {
    const [, device, boot, size, top, text, liveMs, gap] = line;
    const words = new Uint32Array(new Uint8Array(Buffer.from(text, 'base64')).buffer);
    tracks.set(device, { boot, seen: { size, top, words }, liveMs, gap: gapIn(gap) });
    return;
  }
  const [, device, boot, size, seq, liveMs, gap] = line;
  const known = tracks.get(device);
  const seen = known?.boot === boot && known.seen.size === size ? known.seen : emptyBitmap(size);
  tracks.set(device, { boot, seen: look(seen, seq) === 'new' ? mark(seen, seq) : seen, liveMs, gap: gapIn(gap) });
}

function fieldsOf(line: Buffer): Whole | Step | undefined {
  const text = line.toString('utf8', 9);
  return line.toString('latin1', 0, 8) === sumOf(text) ? (JSON.parse(text) as Whole | Step) : undefined;
}

const lineOf = (fields: Whole | Step): string => {
  const text = JSON.stringify(fields);
  return `${sumOf(text)} ${text}\n`;
};
const sumOf = (text: string): string => crc32(text).toString(16).padStart(8, '0');
const gapOf = (gap: Track['gap']): Gap => (gap === undefined ? null : [gap.fromMs, gap.toMs]);
