// Whether a message of a device was there before, or comes at a time that it cannot be of. Pure.
import { type Bitmap, emptyBitmap, look, mark, resized } from './bitmap.ts';
import type { Envelope } from './envelope.ts';

/** What is kept of a device: a few hundred bytes, whatever it sends. */
export type Track = {
  boot: number;
  seen: Bitmap;
  /** The latest time of a message that came at its time. */
  liveMs: number;
  /** The last stretch in which none came: what was measured in it may come later. */
  gap: { fromMs: number; toMs: number } | undefined;
};

/** spec.payload.replay of the SegmentPolicy. */
export type Rules = { window: number; maxSkewMs: number };

export type Refusal = 'HR-GW-202' | 'HR-GW-203' | 'HR-GW-204' | 'HR-GW-205' | 'HR-GW-206';

/** A refusal changes nothing of `track`; whoever is accepted uses it up. */
export function decide(track: Track | undefined, one: Omit<Envelope, 'm'>, rules: Rules, nowMs: number): Track | Refusal {
  const known = track ?? { boot: 0, seen: emptyBitmap(rules.window), liveMs: nowMs, gap: undefined };
  if (one.boot < known.boot) return 'HR-GW-204';
  const seen = one.boot === known.boot ? fitted(known.seen, rules.window) : emptyBitmap(rules.window);
  const found = look(seen, one.seq);
  if (found !== 'new') return found === 'seen' ? 'HR-GW-202' : 'HR-GW-203';
  const wrong = timeOf(known, one, rules, nowMs);
  if (wrong !== undefined) return wrong;
  return {
    boot: one.boot,
    seen: mark(seen, one.seq),
    ...(one.backfill ? { liveMs: known.liveMs, gap: known.gap } : lived(known, one.ts, rules)),
  };
}

function timeOf({ liveMs, gap }: Track, { ts, backfill }: Omit<Envelope, 'm'>, { maxSkewMs }: Rules, nowMs: number): Refusal | undefined {
  if (!backfill) return Math.abs(ts - nowMs) <= maxSkewMs ? undefined : 'HR-GW-205';
  const isIn = (fromMs: number, toMs: number): boolean => ts >= fromMs - maxSkewMs && ts <= toMs + maxSkewMs;
  return isIn(liveMs, nowMs) || (gap !== undefined && isIn(gap.fromMs, gap.toMs)) ? undefined : 'HR-GW-206';
}

/** Silence for longer than clocks may differ is a gap. */
function lived({ liveMs, gap }: Track, ts: number, { maxSkewMs }: Rules): Pick<Track, 'liveMs' | 'gap'> {
  if (ts <= liveMs) return { liveMs, gap };
  return { liveMs: ts, gap: ts - liveMs > maxSkewMs ? { fromMs: liveMs, toMs: ts } : gap };
}

const fitted = (seen: Bitmap, size: number): Bitmap => (seen.size === size ? seen : resized(seen, size));
