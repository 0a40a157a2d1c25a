// The detectors of every series (one value of one stream of one device) as a part of the state.
import type { Detect } from '../../../operator/api/gateway-config.ts';
import type { Alert } from '../detect/alert.ts';
import { createPeers, type Peers } from '../detect/peers.ts';
import { createStream, type Stream } from '../detect/stream.ts';
import type { Station } from './core.ts';
import type { Accepted } from './event.ts';

/** An alert and whose it is. `boot` and `seq` of the message that gave it; 0 when it was time that did. */
export type Finding = {
  device: string;
  segment: string;
  group: string;
  stream: string;
  field: string;
  boot: number;
  seq: number;
  alert: Alert;
};

export type Detectors = Station & {
  readonly series: number /** Readings of series that a device has too many of. */;
  readonly unwatched: number;
};

/** A device that makes up names has so many series, and no more. */
const MOST_SERIES = 128;
const SILENT_EVERY_MS = 10_000;
const VERSION = 'detectors 1';

type Series = { segment: string; group: string; stream: string; field: string; detector: Stream };
type SeriesLine = readonly ['series', device: string, segment: string, group: string, stream: string, field: string, snapshot: string];
type PeersKey = readonly [segment: string, group: string, stream: string, field: string];
type PeersLine = readonly ['peers', key: string, snapshot: string];
type TickLine = readonly ['tick', lastMs: number];

export function createDetectors(found: (finding: Finding) => void): Detectors {
  const devices = new Map<string, Map<string, Series>>();
  const peers = new Map<string, Peers>();
  const told = new Map<string, ReadonlyMap<string, Detect>>();
  let [series, unwatched, silentMs] = [0, 0, 0];

  function watched(event: Accepted, field: string): Series | undefined {
    const known = devices.get(event.device) ?? new Map<string, Series>();
    const key = seriesKey(event.stream, field);
    const one = known.get(key);
    if (one !== undefined && one.segment === event.segment) {
      one.group = event.group;
      return one;
    }
    if (one === undefined && known.size >= MOST_SERIES) {
      unwatched += 1;
      return undefined;
    }
    if (one === undefined) series += 1;
    const options = told.get(event.segment)?.get(key);
    const { segment, group, stream } = event;
    const made = { segment, group, stream, field, detector: createStream(options) };
    known.set(key, made);
    devices.set(event.device, known);
    return made;
  }

  function compare(event: Accepted, field: string, value: number): void {
    const { segment, group, stream } = event;
    const key = JSON.stringify([segment, group, stream, field] satisfies PeersKey);
    const room = peers.get(key) ?? createPeers();
    peers.set(key, room);
    for (const { device, ...alert } of room.observe(event.device, { atMs: event.atMs, value }))
      found({ device, segment, group, stream, field, boot: 0, seq: 0, alert });
  }

  return {
    name: 'detectors',
    get series() {
      return series;
    },
    get unwatched() {
      return unwatched;
    },
    configure(config) {
      told.clear();
      for (const segment of config.segments)
        told.set(segment.name, new Map(segment.detect.map((one) => [seriesKey(one.stream, one.field), one])));
      for (const key of peers.keys()) {
        const [segment, , stream, field] = JSON.parse(key) as PeersKey;
        if (told.get(segment)?.get(seriesKey(stream, field))?.peers !== true) peers.delete(key);
      }
      // Whoever is watched in another way now goes on with what was learned.
      for (const known of devices.values())
        for (const [key, one] of known) one.detector = createStream(told.get(one.segment)?.get(key), one.detector.snapshot());
    },
    message(event) {
      const rules = told.get(event.segment);
      for (const [field, value] of event.readings) {
        const one = watched(event, field);
        if (one === undefined) continue;
        const { alerts } = one.detector.observe({ atMs: event.atMs, value });
        for (const alert of alerts) {
          const { device, segment, group, stream, boot, seq } = event;
          found({ device, segment, group, stream, field, boot, seq, alert });
        }
        if (rules !== undefined && rules.size > 0 && rules.get(seriesKey(event.stream, field))?.peers === true)
          compare(event, field, value);
      }
    },
    tick({ nowMs }) {
      if (Math.abs(nowMs - silentMs) < SILENT_EVERY_MS) return;
      silentMs = nowMs;
      for (const [device, known] of devices)
        for (const { segment, group, stream, field, detector } of known.values())
          for (const alert of detector.silent(nowMs)) found({ device, segment, group, stream, field, boot: 0, seq: 0, alert });
    },
    *snapshot() {
      yield VERSION;
      yield JSON.stringify(['tick', silentMs] satisfies TickLine);
      for (const [device, known] of devices)
        for (const { segment, group, stream, field, detector } of known.values())
          yield JSON.stringify(['series', device, segment, group, stream, field, detector.snapshot()] satisfies SeriesLine);
      for (const [key, room] of peers) yield JSON.stringify(['peers', key, room.snapshot()] satisfies PeersLine);
    },
    restore(lines) {
      devices.clear();
      peers.clear();
      [series, silentMs] = [0, 0];
      let isOurs = false;
      for (const text of lines) {
        if (!isOurs && text !== VERSION) return;
        if (isOurs) put(JSON.parse(text) as SeriesLine | PeersLine | TickLine);
        isOurs = true;
      }
    },
    forget(device) {
      series -= devices.get(device)?.size ?? 0;
      devices.delete(device);
      for (const room of peers.values()) room.forget(device);
    },
  };

  function put(line: SeriesLine | PeersLine | TickLine): void {
    if (line[0] === 'tick') silentMs = line[1];
    else if (line[0] === 'peers') peers.set(line[1], createPeers(line[2]));
    else {
      const [, device, segment, group, stream, field, snapshot] = line;
      const known = devices.get(device) ?? new Map<string, Series>();
      const key = seriesKey(stream, field);
      known.set(key, { segment, group, stream, field, detector: createStream(told.get(segment)?.get(key), snapshot) });
      devices.set(device, known);
      series += 1;
    }
  }
}

/** A stream has no line feed (ingest/topic.ts). */
const seriesKey = (stream: string, field: string): string => `${stream}\n${field}`;
