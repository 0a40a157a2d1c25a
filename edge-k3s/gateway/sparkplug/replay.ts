// What the replay window of a Sparkplug node takes. Pure.
//
// Sequence numbers of Sparkplug (seq and bdSeq, 0 to 255) tell whether a message is missing; recorded messages have good ones too. What cannot come again is the time of a
// payload together with its number: of two messages the later one has the higher count. A node whose clock is set back is not heard until its time has passed.
import type { Payload } from './payload.ts';

export type Counters = { boot: 1; seq: number; ts: number };

/** seq is one of 256 (§6.4.4). A timestamp of 2^45 ms is the year 3084. */
const SEQS = 256;
const LATEST_MS = 2 ** 45;

export function numbersOf({ timestampMs, seq }: Payload): Counters | 'HR-GW-802' {
  if (timestampMs === undefined || timestampMs < 1 || timestampMs >= LATEST_MS || seq === undefined || seq >= SEQS) return 'HR-GW-802';
  return { boot: 1, seq: timestampMs * SEQS + seq, ts: timestampMs };
}
