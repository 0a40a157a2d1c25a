// The last values of every stream of the site: for its rules, and for whoever reads them at the site while the uplink is down. Pure.
import type { Station } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';

export type LatestStream = { atMs: number; heardMs: number; readings: readonly (readonly [field: string, value: number])[] };
export type LatestDevice = { segment: string; streams: ReadonlyMap<string, LatestStream> };

export type Latest = Station & {
  /** After `message`: nothing later of its stream was there before it. */
  isNewest(event: Accepted): boolean;
  /** Undefined of a device that has said nothing. */
  of(device: string): LatestDevice | undefined;
  /** Messages of streams that there is no room for. */
  readonly left: number;
};

type Known = { segment: string; streams: Map<string, LatestStream> };
type Line = readonly [device: string, segment: string, stream: string, atMs: number, heardMs: number, readings: LatestStream['readings']];

/** A device that makes up streams takes room from no other. */
const MOST_STREAMS = 64;
const VERSION = 'latest 1';

/** `mostValues`: of all devices together; about 100 bytes each. */
export function createLatest(mostValues: number): Latest {
  const devices = new Map<string, Known>();
  let [values, left] = [0, 0];

  function keep(known: Known, stream: string, next: LatestStream): void {
    const last = known.streams.get(stream);
    const more = next.readings.length - (last?.readings.length ?? 0);
    if ((last === undefined && known.streams.size >= MOST_STREAMS) || (more > 0 && values + more > mostValues)) {
      left += 1;
      return;
    }
    values += more;
    known.streams.set(stream, next);
  }

  function forget(device: string): void {
    for (const { readings } of devices.get(device)?.streams.values() ?? []) values -= readings.length;
    devices.delete(device);
  }

  function knownOf(device: string, segment: string): Known {
    const known = devices.get(device);
    if (known?.segment === segment) return known;
    // What it said in another segment was for that one.
    forget(device);
    const made = { segment, streams: new Map() };
    devices.set(device, made);
    return made;
  }

  return {
    name: 'latest',
    message({ device, segment, stream, atMs, heardMs, readings }) {
      const known = knownOf(device, segment);
      const last = known.streams.get(stream);
      if (last === undefined || atMs >= last.atMs) keep(known, stream, { atMs, heardMs, readings });
    },
    tick: () => undefined,
    configure: () => undefined,
    isNewest({ device, stream, atMs }) {
      const last = devices.get(device)?.streams.get(stream);
      return last === undefined || atMs >= last.atMs;
    },
    of: (device) => devices.get(device),
    get left() {
      return left;
    },
    *snapshot() {
      yield VERSION;
      for (const [device, { segment, streams }] of devices)
        for (const [stream, { atMs, heardMs, readings }] of streams)
          yield JSON.stringify([device, segment, stream, atMs, heardMs, readings] satisfies Line);
    },
    restore(lines) {
      devices.clear();
      values = 0;
      let isOurs = false;
      for (const text of lines) {
        if (!isOurs && text !== VERSION) return;
        if (isOurs) {
          const [device, segment, stream, atMs, heardMs, readings] = JSON.parse(text) as Line;
          keep(knownOf(device, segment), stream, { atMs, heardMs, readings });
        }
        isOurs = true;
      }
    },
    forget,
  };
}
