// Readings of devices become trends of groups: windows over the time of the measurements, closed by the gateway's own time, so no device closes the window of
// another, and none can hold it open. docs/reference/edge-egress.md.
import type { GatewaySegment } from '../../../operator/api/gateway-config.ts';
import type { Station } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';
import type { Output } from '../core/output.ts';
import { trendBody } from '../egress/trend.ts';
import { createAge } from './age.ts';
import { metricOf } from './metric.ts';
import { createNames } from './names.ts';
import { type GroupWindow, give, isNewFor, put, readWindow, type WindowLine, writeWindow } from './window.ts';

export type Groups = Station & {
  /** Its name may leave: enough devices use it, or the policy names it. */
  nameOf(segment: string, stream: string, field: string): string | undefined;
  /** Windows, or what came late for one, that were of too few devices to leave. */
  readonly suppressed: number;
};

type Series = { group: string; metric: string; windows: Map<number, GroupWindow> };
/** `retiring`: of another width; nothing new comes to them. */
type Of = { windowMs: number; series: Map<string, Series>; retiring: Series[] };

/** So long after its end a window is given out, and so long after that once more with what came late. */
export const LATENESS_MS = 30_000;
export const CORRECTION_MS = 300_000;
/** Aggregates of one device in windows that are open: a device that makes up names has no more. */
const MOST_OF_DEVICE = 512;
/** Of all devices; about 1 KiB each. */
const MOST = 65_536;
const LOSS_EVERY_MS = 60_000;
const VERSION = 'groups 1';
type Header = { epoch: number; serial: number; suppressed: number; age: string; names: string; lost: Lost | null };
type Lost = { count: number; fromMs: number; toMs: number };
type Line = readonly [segment: string, windowMs: number, group: string, key: string, metric: string, window: WindowLine];

export function createGroups(out: (output: Output) => void, most: number = MOST): Groups {
  const segments = new Map<string, Of>();
  const held = new Map<string, number>();
  const age = createAge();
  const names = createNames();
  const policies = new Map<string, GatewaySegment>();
  let [epoch, serial, suppressed, open] = [0, 0, 0, 0];
  let lost: Lost | undefined;

  const hold = (device: string, by: number): void => {
    const count = (held.get(device) ?? 0) + by;
    open += by;
    if (count > 0) held.set(device, count);
    else held.delete(device);
  };

  /** The window that the reading belongs to, when the device is in it already or may come into one more. */
  function windowOf(event: Accepted, field: string, of: Of): GroupWindow | undefined {
    const { group, stream, device, atMs } = event;
    const key = `${group}\n${stream}\n${field}`;
    const fromMs = Math.floor(atMs / of.windowMs) * of.windowMs;
    const known = of.series.get(key);
    const window = known?.windows.get(fromMs);
    if (window !== undefined && !isNewFor(window, device)) return window;
    const metric = known?.metric ?? metricOf(stream, field);
    if (metric === undefined) return undefined;
    if (open >= most || (held.get(device) ?? 0) >= MOST_OF_DEVICE) {
      lost = { count: (lost?.count ?? 0) + 1, fromMs: Math.min(lost?.fromMs ?? atMs, atMs), toMs: Math.max(lost?.toMs ?? atMs, atMs) };
      return undefined;
    }
    hold(device, 1);
    const series = known ?? { group, metric, windows: new Map<number, GroupWindow>() };
    of.series.set(key, series);
    const found = window ?? opened(event, fromMs, of.windowMs);
    series.windows.set(fromMs, found);
    return found;
  }

  function opened({ heardMs }: Accepted, fromMs: number, widthMs: number): GroupWindow {
    const toMs = fromMs + widthMs;
    serial += 1;
    // A device whose clock goes ahead does not keep a window open for longer than that.
    const dueMs = age.now() + Math.min(widthMs, Math.max(0, toMs - heardMs)) + LATENESS_MS;
    const [sent, devices, pending] = [undefined, new Set<string>(), new Map()];
    return { fromMs, toMs, serial, dueMs, goneMs: dueMs + CORRECTION_MS, isDue: false, sent, devices, pending };
  }

  function emit(segment: string, { group, metric }: Series, window: GroupWindow, least: number): boolean {
    const before = [...window.pending.keys()];
    const given = give(window, least);
    if (given === undefined) return false;
    for (const device of before) hold(device, -1);
    const { fromMs, toMs } = window;
    const where = group === '' ? '_' : group;
    const id = `${where}/${metric}/${fromMs}-${toMs}/${epoch.toString(36)}-${window.serial}`;
    const body = trendBody({ group: where, metric, devices: given.devices }, given.aggregate);
    out({ segment, device: '', id, subject: `${segment}/${where}/${metric}`, rev: given.revision, fromMs, toMs, body });
    return true;
  }

  /** False when nothing is left of it. */
  function step(segment: string, series: Series, least: number): boolean {
    for (const [start, window] of series.windows) {
      if (!window.isDue && age.now() >= window.dueMs) {
        window.isDue = true;
        if (emit(segment, series, window, least)) names.common(segment, series.metric);
      }
      if (age.now() < window.goneMs) continue;
      if (window.pending.size > 0 && !emit(segment, series, window, least)) suppressed += 1;
      drop(window);
      series.windows.delete(start);
    }
    return series.windows.size > 0;
  }

  function drop(window: GroupWindow): void {
    for (const device of window.pending.keys()) hold(device, -1);
    window.pending.clear();
  }

  function stepSegment(name: string, of: Of): void {
    const policy = policies.get(name);
    if (policy === undefined) {
      for (const series of [...of.series.values(), ...of.retiring]) for (const window of series.windows.values()) drop(window);
      segments.delete(name);
      return;
    }
    for (const [key, series] of of.series) if (!step(name, series, policy.minGroup)) of.series.delete(key);
    of.retiring = of.retiring.filter((series) => step(name, series, policy.minGroup));
  }

  function tellLost(nowMs: number): void {
    if (lost === undefined || Math.abs(nowMs - lost.toMs) < LOSS_EVERY_MS) return;
    const { count, fromMs, toMs } = lost;
    const body = { type: 'DataLoss', class: 'trend', reason: 'bound', count } as const;
    serial += 1;
    out({ segment: '', device: '', id: `windows/${epoch.toString(36)}-${serial}`, subject: 'windows', rev: 0, fromMs, toMs, body });
    lost = undefined;
  }

  function segmentOf(name: string, windowMs: number): Of {
    const known = segments.get(name);
    if (known?.windowMs === windowMs) return known;
    const retiring = known === undefined ? [] : [...known.retiring, ...known.series.values()];
    const made = { windowMs, series: new Map<string, Series>(), retiring };
    segments.set(name, made);
    return made;
  }

  return {
    name: 'groups',
    get suppressed() {
      return suppressed;
    },
    nameOf: names.nameOf,
    configure(config) {
      policies.clear();
      for (const segment of config.segments) policies.set(segment.name, segment);
      names.configure(config.segments);
    },
    message(event, { windowMs }) {
      epoch ||= event.heardMs;
      const of = segmentOf(event.segment, windowMs);
      for (const [field, value] of event.readings) {
        const window = windowOf(event, field, of);
        if (window !== undefined) put(window, event.device, event.atMs, value);
      }
    },
    tick(tick) {
      epoch ||= tick.nowMs;
      age.tick(tick);
      for (const [name, of] of segments) stepSegment(name, of);
      tellLost(tick.nowMs);
    },
    *snapshot() {
      yield VERSION;
      const header: Header = { epoch, serial, suppressed, age: age.snapshot(), names: names.snapshot(), lost: lost ?? null };
      yield JSON.stringify(header);
      for (const [segment, of] of segments) {
        for (const [key, series] of of.series) yield* linesOf(segment, of.windowMs, key, series);
        for (const series of of.retiring) yield* linesOf(segment, of.windowMs, '', series);
      }
    },
    restore(lines) {
      segments.clear();
      held.clear();
      [epoch, serial, suppressed, open, lost] = [0, 0, 0, 0, undefined];
      const [version, header, ...rest] = lines;
      if (version !== VERSION || header === undefined) return;
      const read = JSON.parse(header) as Header;
      ({ epoch, serial, suppressed } = read);
      lost = read.lost ?? undefined;
      age.restore(read.age);
      names.restore(read.names);
      for (const line of rest) putBack(JSON.parse(line) as Line);
    },
    forget(device) {
      held.delete(device);
      for (const of of segments.values()) {
        for (const [key, series] of of.series) if (!without(series, device)) of.series.delete(key);
        of.retiring = of.retiring.filter((series) => without(series, device));
      }
    },
  };

  /** False when nothing is left of it: its name could be the device's own. */
  function without(series: Series, device: string): boolean {
    for (const [start, window] of series.windows) {
      if (window.pending.delete(device)) open -= 1;
      window.devices.delete(device);
      if (window.pending.size === 0 && window.sent === undefined) series.windows.delete(start);
    }
    return series.windows.size > 0;
  }

  function putBack([segment, windowMs, group, key, metric, line]: Line): void {
    const of = segmentOf(segment, windowMs);
    const window = readWindow(line);
    for (const device of window.pending.keys()) hold(device, 1);
    const series = (key === '' ? undefined : of.series.get(key)) ?? { group, metric, windows: new Map<number, GroupWindow>() };
    series.windows.set(window.fromMs, window);
    if (key === '') of.retiring.push(series);
    else of.series.set(key, series);
  }
}

function* linesOf(segment: string, windowMs: number, key: string, { group, metric, windows }: Series): Iterable<string> {
  for (const window of windows.values()) yield JSON.stringify([segment, windowMs, group, key, metric, writeWindow(window)] satisfies Line);
}
