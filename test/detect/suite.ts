// How many of the faults are found, and how often a healthy device is accused. Each room runs once healthy, and once for each fault with one device of it faulty
// from a moment of the third week on; a fault is found when that device has an alert between its beginning and an hour after its end.
import { createPeers, type PeerAlert } from '../../edge-k3s/gateway/detect/peers.ts';
import { createStream, type Reading, type StreamOptions } from '../../edge-k3s/gateway/detect/stream.ts';
import { uniform } from './random.ts';
import { FAULTS, type Fault, withFault } from './sensor-faults.ts';
import { CLASSES, PER_DAY, room, type SignalClass } from './signals.ts';

export type Tally = {
  devices: number;
  deviceWeeks: number;
  falseAlerts: number /** By kind of alert. */;
  kinds: Record<string, number>;
  faults: number;
  found: Record<Fault, number>;
  /** Of the found ones those that the device's own readings gave away, without its peers. */
  alone: Record<Fault, number>;
  of: Record<Fault, number>;
};

const DEVICES = 6;
const WEEK = 7 * PER_DAY;
/** Two weeks to learn in, in which alerts count for nothing. */
const LEARNING = 2 * WEEK;
const DAYS = 28;
const HOUR_MS = 3_600_000;

export const OPTIONS: StreamOptions = { pattern: true, timeOfDay: true, repeat: true };

/** `rooms` of each class. */
export function runSuite(rooms: number, seed: number, options: StreamOptions = OPTIONS, classes: readonly SignalClass[] = CLASSES): Tally {
  const none = (): Record<Fault, number> => Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<Fault, number>;
  const tally: Tally = { devices: 0, deviceWeeks: 0, falseAlerts: 0, kinds: {}, faults: 0, found: none(), alone: none(), of: none() };
  for (const signal of classes) for (let n = 0; n < rooms; n += 1) runRoom(tally, room(signal, DEVICES, DAYS, seed + n), seed + n, options);
  return tally;
}

function runRoom(tally: Tally, healthy: readonly Reading[][], seed: number, options: StreamOptions): void {
  const random = uniform(seed);
  const judgedFromMs = healthy[0]?.[LEARNING]?.atMs ?? 0;
  const alerts = alertsOf(healthy, options).filter(({ atMs }) => atMs >= judgedFromMs);
  tally.devices += DEVICES;
  tally.deviceWeeks += DEVICES * (DAYS / 7 - LEARNING / WEEK);
  tally.falseAlerts += alerts.length;
  for (const { kind } of alerts) tally.kinds[kind] = (tally.kinds[kind] ?? 0) + 1;
  FAULTS.forEach((fault, n) => {
    const device = n % DEVICES;
    const [own = [], other = []] = [healthy[device], healthy[(device + 1) % DEVICES]];
    const start = LEARNING + Math.floor(random() * WEEK);
    const { readings, fromMs, toMs } = withFault(fault, own, other, start, random);
    const all = healthy.map((one, at) => (at === device ? readings : one));
    const found = alertsOf(all, options, device).filter(({ atMs }) => atMs >= fromMs && atMs <= toMs + HOUR_MS);
    tally.of[fault] += 1;
    tally.faults += 1;
    if (found.length > 0) tally.found[fault] += 1;
    if (found.some(({ kind }) => kind !== 'peers')) tally.alone[fault] += 1;
  });
}

/** Of all devices, or of one. A stream of another device is not run: only its readings count, for the peers. */
function alertsOf(all: readonly (readonly Reading[])[], options: StreamOptions, only?: number): PeerAlert[] {
  const found: PeerAlert[] = [];
  all.forEach((readings, device) => {
    if (only !== undefined && only !== device) return;
    const stream = createStream(options);
    for (const reading of readings) for (const alert of stream.observe(reading).alerts) found.push({ ...alert, device: String(device) });
  });
  const peers = createPeers();
  const merged = all.flatMap((readings, device) => readings.map((reading) => ({ device: String(device), reading })));
  merged.sort((a, b) => a.reading.atMs - b.reading.atMs);
  for (const { device, reading } of merged) found.push(...peers.observe(device, reading));
  return only === undefined ? found : found.filter(({ device }) => device === String(only));
}
