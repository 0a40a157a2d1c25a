// What is known of the values of one window: the payload of a trend. Pure; merging does not depend on order but for the last digits of mean and spread.
import { emptySketch, MOST, mergedSketch, put, type Sketch } from './sketch.ts';

export type Aggregate = {
  count: number;
  /** Values that are no measure: NaN, infinities, beyond 1e15. */
  refused: number;
  mean: number;
  /** Sum of squared distances from the mean (Welford): the variance is m2 / (count - 1). */
  m2: number;
  min: number;
  max: number;
  /** The latest by its own time; of two at one time the larger. */
  last: { ms: number; value: number } | undefined;
  sketch: Sketch;
};

export const emptyAggregate = (): Aggregate => ({
  ...{ count: 0, refused: 0, mean: 0, m2: 0, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, last: undefined },
  sketch: emptySketch(),
});

/** Changes it. */
export function include(into: Aggregate, ms: number, value: number): void {
  if (!(Math.abs(value) <= MOST)) {
    into.refused += 1;
    return;
  }
  into.count += 1;
  const distance = value - into.mean;
  into.mean += distance / into.count;
  into.m2 += distance * (value - into.mean);
  into.min = Math.min(into.min, value);
  into.max = Math.max(into.max, value);
  into.last = later(into.last, { ms, value });
  put(into.sketch, value);
}

/** Chan, Golub, LeVeque 1979. */
export function mergedAggregate(a: Aggregate, b: Aggregate): Aggregate {
  const count = a.count + b.count;
  const distance = b.mean - a.mean;
  const share = count === 0 ? 0 : b.count / count;
  return {
    ...{ count, refused: a.refused + b.refused, mean: a.mean + distance * share, m2: a.m2 + b.m2 + distance * distance * a.count * share },
    ...{ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max), last: later(a.last, b.last), sketch: mergedSketch(a.sketch, b.sketch) },
  };
}

/** For the spool: payloads of windows that do not overlap become one. */
export const mergePayloads = (parts: readonly Uint8Array[]): Uint8Array =>
  writeAggregate(parts.map(readAggregate).reduce(mergedAggregate, emptyAggregate()));

const VERSION = 1;
const NUMBERS = 8;
const HEADER = 1 + 8 * NUMBERS;

/** Version, eight doubles, then for each sign the number of bins and each bin's key (as its distance from the one before) and count, as LEB128. */
export function writeAggregate(one: Aggregate): Buffer {
  const { count, refused, mean, m2, min, max, last, sketch } = one;
  const head = Buffer.alloc(HEADER);
  head.writeUInt8(VERSION);
  const numbers = [refused, mean, m2, min, max, last?.ms ?? Number.NaN, last?.value ?? Number.NaN, count];
  for (const [at, value] of numbers.entries()) head.writeDoubleBE(value, 1 + 8 * at);
  const rest: number[] = [];
  pushCount(rest, sketch.zeros);
  for (const bins of [sketch.positive, sketch.negative]) {
    pushCount(rest, bins.size);
    let before = LEAST_KEY;
    for (const [key, many] of [...bins].sort((a, b) => a[0] - b[0])) {
      pushCount(rest, key - before);
      pushCount(rest, many);
      before = key;
    }
  }
  return Buffer.concat([head, Buffer.from(rest)]);
}

/** Below the key of `LEAST`. */
const LEAST_KEY = -4_096;

/** Throws RangeError when it is none. */
export function readAggregate(bytes: Uint8Array): Aggregate {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < HEADER || buffer.readUInt8() !== VERSION) throw new RangeError('no aggregate');
  const [refused = 0, mean = 0, m2 = 0, min = 0, max = 0, ms = 0, value = 0, count = 0] = Array.from({ length: NUMBERS }, (_, at) =>
    buffer.readDoubleBE(1 + 8 * at),
  );
  const place = { at: HEADER };
  const zeros = countAt(buffer, place);
  const [positive, negative] = [binsAt(buffer, place), binsAt(buffer, place)];
  if (place.at !== buffer.length) throw new RangeError('no aggregate');
  return {
    ...{ count, refused, mean, m2, min, max, sketch: { zeros, positive, negative } },
    last: Number.isNaN(ms) ? undefined : { ms, value },
  };
}

function binsAt(buffer: Buffer, place: { at: number }): Map<number, number> {
  const bins = new Map<number, number>();
  let key = LEAST_KEY;
  for (let left = countAt(buffer, place); left > 0; left--) {
    key += countAt(buffer, place);
    bins.set(key, countAt(buffer, place));
  }
  return bins;
}

function pushCount(into: number[], count: number): void {
  let left = count;
  while (left >= 128) {
    into.push((left % 128) + 128);
    left = Math.floor(left / 128);
  }
  into.push(left);
}

function countAt(buffer: Buffer, place: { at: number }): number {
  let [count, factor] = [0, 1];
  for (;;) {
    const byte = buffer.readUInt8(place.at++);
    count += (byte % 128) * factor;
    if (byte < 128) return count;
    factor *= 128;
    if (factor > 2 ** 49) throw new RangeError('no aggregate');
  }
}

function later(a: Aggregate['last'], b: Aggregate['last']): Aggregate['last'] {
  if (a === undefined || b === undefined) return a ?? b;
  return b.ms > a.ms || (b.ms === a.ms && b.value > a.value) ? b : a;
}
