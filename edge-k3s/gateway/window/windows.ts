// Tumbling windows over the time of the measurements. Each stream has a watermark of its own, so no device can close the windows of another. Pure: the caller says the time.
import { type Aggregate, emptyAggregate, include, readAggregate, writeAggregate } from './aggregate.ts';

export type WindowRules = {
  widthMs: number;
  /** So long after the end of a window, by the stream's own newest value, it is given out. */
  latenessMs: number;
  /** So long after that values still correct it. */
  correctionMs: number;
  /** A value further in the future is refused, and moves nothing. */
  maxAheadMs: number;
  /** A stream that says nothing for so long has its windows given out as they are. */
  idleMs: number;
  maxStreams: number;
};

/** `revision`: 0, then one more with each correction, which replaces the one before. The aggregate is of all values so far. */
export type Trend = { stream: string; fromMs: number; toMs: number; revision: number; aggregate: Aggregate };

export type Outcome = 'taken' | 'late' | 'ahead' | 'too many';

type Window = { aggregate: Aggregate /** Of the next time that it is given out. */; revision: number; isChanged: boolean };
type Stream = { newestMs: number; heardMs: number; windows: Map<number, Window> };

export type Windows = { rules: WindowRules; streams: Map<string, Stream> };

export const emptyWindows = (rules: WindowRules): Windows => ({ rules, streams: new Map() });

/** `nowMs`: the wall clock; `elapsedMs`: one that never jumps. `trends`: windows that this value closes. */
export function put(
  of: Windows,
  one: { stream: string; ms: number; value: number },
  time: { nowMs: number; elapsedMs: number },
): { outcome: Outcome; trends: Trend[] } {
  const { rules, streams } = of;
  const { stream: name, ms, value } = one;
  if (!(Math.abs(ms) < Number.MAX_SAFE_INTEGER && ms <= time.nowMs + rules.maxAheadMs)) return { outcome: 'ahead', trends: [] };
  const known = streams.get(name);
  if (known === undefined && streams.size >= rules.maxStreams) return { outcome: 'too many', trends: [] };
  const stream = known ?? { newestMs: ms, heardMs: time.elapsedMs, windows: new Map<number, Window>() };
  const start = Math.floor(ms / rules.widthMs) * rules.widthMs;
  if (isGone(stream, start, rules)) return { outcome: 'late', trends: [] };
  streams.set(name, stream);
  stream.newestMs = Math.max(stream.newestMs, ms);
  stream.heardMs = time.elapsedMs;
  const window = stream.windows.get(start) ?? { aggregate: emptyAggregate(), revision: 0, isChanged: false };
  stream.windows.set(start, window);
  include(window.aggregate, ms, value);
  window.isChanged = true;
  return { outcome: 'taken', trends: closed(of, name, stream) };
}

/** Called now and then: corrections that came together are given out as one, and so is what an idle stream has. */
export function tick(of: Windows, elapsedMs: number): Trend[] {
  const trends: Trend[] = [];
  for (const [name, stream] of of.streams) {
    const isIdle = elapsedMs - stream.heardMs >= of.rules.idleMs;
    for (const [start, window] of inOrder(stream))
      if (window.isChanged && (isIdle || isDue(stream, start, of.rules))) trends.push(given(of, name, start, window));
  }
  return trends;
}

/** Of a device that is deleted. */
export function forget(of: Windows, stream: string): void {
  of.streams.delete(stream);
}

/** What is due for the first time, and what can change no more. */
function closed(of: Windows, name: string, stream: Stream): Trend[] {
  const trends: Trend[] = [];
  for (const [start, window] of inOrder(stream)) {
    if (!isDue(stream, start, of.rules)) break;
    const isOver = isGone(stream, start, of.rules);
    if (window.isChanged && (window.revision === 0 || isOver)) trends.push(given(of, name, start, window));
    if (isOver) stream.windows.delete(start);
  }
  return trends;
}

/** A copy: what was given out does not change with a correction. */
function given({ rules }: Windows, stream: string, start: number, window: Window): Trend {
  window.isChanged = false;
  window.revision += 1;
  const aggregate = readAggregate(writeAggregate(window.aggregate));
  return { stream, fromMs: start, toMs: start + rules.widthMs, revision: window.revision - 1, aggregate };
}

const inOrder = ({ windows }: Stream): [number, Window][] => [...windows].sort((a, b) => a[0] - b[0]);
const isDue = ({ newestMs }: Stream, start: number, { widthMs, latenessMs }: WindowRules): boolean =>
  start + widthMs <= newestMs - latenessMs;
const isGone = (stream: Stream, start: number, rules: WindowRules): boolean => isDue(stream, start + rules.correctionMs, rules);

type Snapshot = [name: string, newestMs: number, windows: [start: number, revision: number, isChanged: boolean, aggregate: string][]][];

export function writeWindows({ streams }: Windows): string {
  const all: Snapshot = [...streams].map(([name, { newestMs, windows }]) => [
    name,
    newestMs,
    [...windows].map(([start, one]) => [start, one.revision, one.isChanged, writeAggregate(one.aggregate).toString('base64')]),
  ]);
  return JSON.stringify(all);
}

/** Of a text that `writeWindows` made; whoever keeps it sees to it that it is. Idle times begin anew. */
export function readWindows(text: string, rules: WindowRules, elapsedMs: number): Windows {
  const streams = (JSON.parse(text) as Snapshot).map(([name, newestMs, windows]): [string, Stream] => [
    name,
    {
      newestMs,
      heardMs: elapsedMs,
      windows: new Map(
        windows.map(([start, revision, isChanged, bytes]) => [
          start,
          { revision, isChanged, aggregate: readAggregate(Buffer.from(bytes, 'base64')) },
        ]),
      ),
    },
  ]);
  return { rules, streams: new Map(streams) };
}
