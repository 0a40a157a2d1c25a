// What was there of each device, as a part of the gateway's state: whoever is accepted once is on disk before the broker hears of it, and is never accepted again.
import type { Accepted } from '../core/event.ts';
import type { Part } from '../core/part.ts';
import { decide, type Refusal, type Rules, type Track } from './decide.ts';

export type Tracks = Part & {
  /** Undefined: it is accepted, and used up. A refusal changes nothing. */
  take(event: Accepted, rules: Rules): Refusal | 'HR-GW-207' | undefined;
  readonly devices: number;
};

type Line = readonly [
  device: string,
  boot: number,
  size: number,
  top: number,
  words: string,
  liveMs: number,
  gap: readonly [fromMs: number, toMs: number] | null,
];

/** Of a snapshot; another one begins as empty. */
const VERSION = 'tracks 1';

export function createTracks({ maxDevices }: { maxDevices: number }): Tracks {
  const tracks = new Map<string, Track>();
  return {
    name: 'tracks',
    take(event, rules) {
      const known = tracks.get(event.device);
      if (known === undefined && tracks.size >= maxDevices) return 'HR-GW-207';
      const found = decide(known, { boot: event.boot, seq: event.seq, ts: event.atMs, backfill: event.backfill }, rules, event.heardMs);
      if (typeof found === 'string') return found;
      tracks.set(event.device, found);
      return undefined;
    },
    get devices() {
      return tracks.size;
    },
    *snapshot() {
      yield VERSION;
      for (const [device, track] of tracks) yield JSON.stringify(lineOf(device, track));
    },
    restore(lines) {
      tracks.clear();
      let isOurs = false;
      for (const text of lines) {
        if (!isOurs && text !== VERSION) return;
        if (isOurs) {
          const line = JSON.parse(text) as Line;
          tracks.set(line[0], trackOf(line));
        }
        isOurs = true;
      }
    },
    forget: (device) => void tracks.delete(device),
  };
}

function lineOf(device: string, { boot, seen, liveMs, gap }: Track): Line {
  const words = Buffer.from(seen.words.buffer, seen.words.byteOffset, seen.words.byteLength).toString('base64');
  return [device, boot, seen.size, seen.top, words, liveMs, gap === undefined ? null : [gap.fromMs, gap.toMs]];
}

function trackOf([, boot, size, top, base64, liveMs, gap]: Line): Track {
  const words = new Uint32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
  return { boot, seen: { size, top, words }, liveMs, gap: gap === null ? undefined : { fromMs: gap[0], toMs: gap[1] } };
}
