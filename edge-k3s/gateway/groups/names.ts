// Which names of values may leave. A device makes up the names in its payload, and could write into one what it likes: the policy has named it, or so many devices
// use it that a trend of it has left.
import type { GatewaySegment } from '../../../operator/api/gateway-config.ts';
import { metricOf } from './metric.ts';

export type Names = {
  configure(segments: readonly GatewaySegment[]): void;
  /** A trend of it has left. */
  common(segment: string, metric: string): void;
  /** Undefined: it stays here. */
  nameOf(segment: string, stream: string, field: string): string | undefined;
  snapshot(): string;
  restore(text: string): void;
};

/** Of one segment; a policy has 64 of its own. */
const MOST = 256;

export function createNames(): Names {
  const told = new Map<string, Set<string>>();
  const used = new Map<string, Set<string>>();
  return {
    configure(segments) {
      told.clear();
      for (const { name, detect } of segments)
        told.set(name, new Set(detect.map(({ stream, field }) => metricOf(stream, field)).filter((metric) => metric !== undefined)));
      for (const name of used.keys()) if (!told.has(name)) used.delete(name);
    },
    common(segment, metric) {
      const of = used.get(segment) ?? new Set<string>();
      if (of.size < MOST) used.set(segment, of.add(metric));
    },
    nameOf(segment, stream, field) {
      const metric = metricOf(stream, field);
      if (metric === undefined) return undefined;
      return told.get(segment)?.has(metric) === true || used.get(segment)?.has(metric) === true ? metric : undefined;
    },
    snapshot: () => JSON.stringify([...used].map(([segment, of]) => [segment, [...of]])),
    restore(text) {
      used.clear();
      for (const [segment, of] of JSON.parse(text) as [string, string[]][]) used.set(segment, new Set(of));
    },
  };
}
