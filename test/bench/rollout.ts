// A rollout to a fleet that is not there: the core of `operator rollout` against device state machines in this process, with everything that goes wrong, on a virtual clock.
// The floor of what the drivers spend is the signatures of their directives, made in the same run and nothing else.
import type { Core } from '../../operator/driver/core.ts';
import { runFleet } from '../firmware/fleet/fleet.ts';
import { coreWith, signaturesAlone } from '../firmware/fleet/measure.ts';
import { runPackets } from '../rollout/packets/run.ts';
import type { Bench, Figure } from './figure.ts';
import { percentile } from './figure.ts';
import { heapMiB } from './heap.ts';

const DEVICES = 100_000;
/** The share of devices whose directives' signatures are looked at in full: one directive in so many. */
const VERIFIES = 20;
const HOURS = 14;
/** Virtual time in which the whole fleet can be offered the release. */
const MINUTES = 60;
const A_DRIVER = 5000;
const MOST_SHARDS = 12;
/** Devices with a socket of their own to the broker's stand-in, and those of them with mutual TLS. */
const SOCKETS = 3000;
const MUTUAL_TLS = 500;
const TROUBLE = { kills: 40, ends: 6, doubles: 6, replays: 500 };

export const rolloutBench: Bench = {
  name: 'rollout',
  about: `${DEVICES} virtual devices (--n N), half of them with a fault each: what the drivers count, and what it costs them (--seed N); and by packets (--sockets N)`,
  async *run({ n = DEVICES, sockets = SOCKETS, seed = 1, progress }) {
    yield* packets(sockets, seed, progress);
    yield* memory(Math.min(n, 20_000));
    const shards = Math.min(MOST_SHARDS, Math.ceil(n / A_DRIVER));
    const size = { devices: n, shards, perMinute: Math.ceil(n / MINUTES), maxInFlight: Math.ceil(n / 5) };
    const startedAt = performance.now();
    const { verdict, ticks, directives, driverMs, isDone, kills, counted } = await runFleet({
      ...{ size, seed, hours: HOURS, verifies: VERIFIES, trouble: TROUBLE, progress },
    });
    const wallS = (performance.now() - startedAt) / 1000;
    if (!isDone) throw new Error(`after ${HOURS} virtual hours it is not done: ${JSON.stringify(counted)}`);
    const [first] = verdict.wrongConfirmed;
    if (first !== undefined) progress(`counted Confirmed against the evidence: ${first}`);
    yield { figure: 'virtual', value: n, unit: 'devices', n };
    yield { figure: 'wrong-confirmed', value: verdict.wrongConfirmed.length, unit: 'devices', n };
    yield { figure: 'forged-unproven', value: verdict.forged, unit: 'devices', n };
    yield { figure: 'confirmed', value: counted.confirmed ?? 0, unit: 'devices', n };
    for (const [name, p] of [['p50', 50] as const, ['p99', 99] as const, ['max', 100] as const])
      yield { figure: `tick-${name}`, value: percentile(ticks, p), unit: 'ms', n: ticks.length };
    yield { figure: 'driver-kills', value: kills, unit: 'kills', n: shards };
    yield { figure: 'directives-per-device', value: directives / n, unit: 'directives', n };
    yield { figure: 'api-writes-per-device', value: sum(verdict.writes.values()) / n, unit: 'writes', n };
    yield { figure: 'api-writes-most', value: verdict.mostWrites, unit: 'writes', n };
    const alone = { reference: 'the signatures of the directives alone', referenceValue: (await signaturesAlone(directives)) / 1000 };
    yield { figure: 'driver-time', value: driverMs / 1000, unit: 's', n, ...alone };
    yield { figure: 'virtual-hours', value: HOURS, unit: 'h', n };
    yield { figure: 'wall', value: wallS, unit: 's', n };
    yield { figure: 'rss', value: process.memoryUsage().rss / 2 ** 20, unit: 'MiB', n };
  },
};

/** The loop, core and MQTT client of the driver in a process of their own, which is killed three times, and the broker once. */
async function* packets(n: number, seed: number, progress: (line: string) => void): AsyncIterable<Figure> {
  const startedAt = performance.now();
  const tls = Math.min(n, MUTUAL_TLS);
  const outcome = await runPackets({ devices: n, tls, seed, driverKills: 3, brokerKills: 1, say: progress });
  yield { figure: 'sockets', value: outcome.sockets, unit: 'devices', n };
  yield { figure: 'sockets-mutual-tls', value: tls, unit: 'devices', n };
  yield { figure: 'sockets-packets', value: outcome.packets, unit: 'packets', n };
  yield { figure: 'sockets-confirmed', value: outcome.report?.counts.confirmed ?? 0, unit: 'devices', n };
  yield { figure: 'sockets-wrong-confirmed', value: outcome.wrongConfirmed.length, unit: 'devices', n };
  yield { figure: 'sockets-api-writes-most', value: outcome.mostWrites, unit: 'writes', n };
  yield { figure: 'sockets-wall', value: (performance.now() - startedAt) / 1000, unit: 's', n };
}

/** Of one driver with so many devices, all of which have an open directive: the most that it ever holds. */
function* memory(n: number): Iterable<Figure> {
  const before = heapMiB();
  const core: Core = coreWith(n);
  const after = heapMiB();
  if (core.tick(Number.MAX_SAFE_INTEGER).counts.matched !== n) throw new Error('the driver has lost devices');
  yield { figure: 'memory-per-device', value: ((after - before) * 1024) / n, unit: 'KiB', n };
  yield { figure: 'memory', value: after - before, unit: 'MiB', n };
}

const sum = (values: Iterable<number>): number => [...values].reduce((all, one) => all + one, 0);
