// What a topic means now: asked once a topic and kept until the devices or the configuration change, since a device sends on the same topics for ever.
import type { GatewayConfig, GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { GatewayCode } from '../errors.ts';
import type { Devices, KnownDevice } from '../site/devices.ts';
import { ROOT, readSparkplugTopic, type SparkplugTopic, streamOf } from '../sparkplug/topic.ts';
import { compileSchemas, type Schemas } from './schemas.ts';
import { readTopic, type TelemetryTopic } from './topic.ts';

export type Route = {
  device: string;
  segment: GatewaySegment;
  stream: string;
  group: string;
  /** Undefined: every message fits. */
  isFit: ((m: unknown) => boolean) | undefined;
  /** What kind of message of a Sparkplug node it is; undefined for one in the envelope. */
  sparkplug: SparkplugTopic | undefined;
};

/** Whose message is refused, as far as its topic says so and the broker vouches for it. */
export type NoRoute = { code: GatewayCode; device: string; segment: string };

export type Routes = {
  of(topic: string): Route | NoRoute;
  /** Throws `Refused` HR-GW-312 where a schema is not taken: then the configuration before stays in force. */
  configure(config: GatewayConfig): void;
  devicesChanged(): void;
};

/** Whoever may publish any stream could make up as many topics as he likes. */
const MOST_KEPT = 50_000;

export function createRoutes(devices: Pick<Devices, 'get'>, first: GatewayConfig): Routes {
  type Segment = { segment: GatewaySegment; schemas: Schemas };
  const compiled = (config: GatewayConfig): Map<string, Segment> =>
    new Map(config.segments.map((segment) => [segment.name, { segment, schemas: compileSchemas(segment.schemas) }]));
  let segments = compiled(first);
  const known = new Map<string, Route | NoRoute>();

  function find(topic: string): Route | NoRoute {
    const sparkplug = topic.startsWith(`${ROOT}/`) ? readSparkplugTopic(topic) : undefined;
    const read = sparkplug === undefined ? readTopic(topic) : telemetryOf(sparkplug);
    if (read === undefined) return { code: 'HR-GW-302', device: '', segment: '' };
    const { device, segment: name, stream } = read;
    const found = segments.get(name);
    const known = devices.get(device);
    const refused = (code: GatewayCode): NoRoute => ({ code, device, segment: name });
    // One of both, never either: a device has one memory of what was there before, and their numbers say different things.
    if (found === undefined || (found.segment.format === 'SparkplugB') !== (sparkplug !== undefined)) return refused('HR-GW-302');
    if (known === undefined || known.segment !== name) return refused('HR-GW-303');
    if (known.lifecycle !== 'Active') return refused('HR-GW-304');
    const { segment, schemas } = found;
    return { device, segment, stream, group: groupOf(known, segment), isFit: schemas.of(`dt/${name}/${device}/${stream}`), sparkplug };
  }

  return {
    of(topic) {
      const kept = known.get(topic);
      if (kept !== undefined) return kept;
      if (known.size >= MOST_KEPT) known.clear();
      const found = find(topic);
      // A topic that is none may have 64 KiB, and is refused quickly enough.
      if (found.device !== '') known.set(topic, found);
      return found;
    },
    configure(config) {
      segments = compiled(config);
      known.clear();
    },
    devicesChanged: () => known.clear(),
  };
}

const telemetryOf = (topic: SparkplugTopic): TelemetryTopic => ({ segment: topic.segment, device: topic.device, stream: streamOf(topic) });

/** A label may be called as something that every object has (`constructor`). */
const groupOf = ({ labels }: KnownDevice, { groupBy }: GatewaySegment): string =>
  groupBy === undefined || !Object.hasOwn(labels, groupBy) ? '' : (labels[groupBy] ?? '');
