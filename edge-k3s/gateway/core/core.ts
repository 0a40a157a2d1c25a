// The gateway's state and what changes it: events in, one after the other, through all parts in their order. Pure but for what the parts give out.
import { type GatewayConfig, type GatewaySegment, readGatewayConfig } from '../../../operator/api/gateway-config.ts';
import type { GatewayCode } from '../errors.ts';
import type { Tracks } from '../replay/tracks.ts';
import type { Accepted, Event, Tick } from './event.ts';
import type { Part } from './part.ts';

/** A part that hears of what was accepted. What it gives out goes to whom it was made with. */
export type Station = Part & {
  message(event: Accepted, segment: GatewaySegment): void;
  tick(event: Tick): void;
  /** In force from now on; also before what a snapshot had is restored. */
  configure(config: GatewayConfig): void;
};

export type Core = {
  /** A message is refused and has changed nothing, or is accepted and has changed all. The same in a replay of the journal. */
  offer(event: Event): GatewayCode | undefined;
  configure(config: GatewayConfig): void;
  readonly config: GatewayConfig;
  /** Of the last tick: a new process counts on from there. */
  readonly elapsedMs: number;
  /** In the order in which they are written and restored. The configuration is the first: what a journal did is done again under the one that was in force. */
  readonly parts: readonly Part[];
  /** The device is erased. */
  forget(device: string): void;
};

export function createCore({
  tracks,
  stations,
  config: first,
}: {
  tracks: Tracks;
  stations: readonly Station[];
  config: GatewayConfig;
}): Core {
  let config = first;
  let segments = new Map<string, GatewaySegment>();
  let elapsedMs = 0;

  function configure(next: GatewayConfig): void {
    config = next;
    segments = new Map(next.segments.map((segment) => [segment.name, segment]));
    for (const station of stations) station.configure(next);
  }
  configure(first);

  const parts: Part[] = [
    configPart(() => config, configure),
    timePart(
      () => elapsedMs,
      (ms) => (elapsedMs = ms),
    ),
    tracks,
    ...stations,
  ];
  return {
    offer(event) {
      if (event.kind === 'tick') {
        elapsedMs = event.elapsedMs;
        for (const station of stations) station.tick(event);
        return undefined;
      }
      const segment = segments.get(event.segment);
      if (segment === undefined) return 'HR-GW-302';
      const refused = tracks.take(event, segment.replay);
      if (refused !== undefined) return refused;
      for (const station of stations) station.message(event, segment);
      return undefined;
    },
    configure,
    get config() {
      return config;
    },
    get elapsedMs() {
      return elapsedMs;
    },
    parts,
    forget(device) {
      for (const part of parts) part.forget(device);
    },
  };
}

function configPart(read: () => GatewayConfig, configure: (config: GatewayConfig) => void): Part {
  return {
    name: 'config',
    snapshot: () => [JSON.stringify(read())],
    restore(lines) {
      const [text] = lines;
      const found = text === undefined ? undefined : readGatewayConfig(text);
      if (found !== undefined && 'segments' in found) configure(found);
    },
    forget: () => undefined,
  };
}

function timePart(read: () => number, set: (ms: number) => void): Part {
  return {
    name: 'time',
    snapshot: () => [String(read())],
    restore(lines) {
      const ms = Number([...lines][0] ?? 0);
      set(Number.isFinite(ms) ? ms : 0);
    },
    forget: () => undefined,
  };
}
