// What is inside the journal: the parts of the state in their order, and what they give out. At the start the snapshot is restored and the journal applied again.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { GatewayConfig } from '../../operator/api/gateway-config.ts';
import type { Clock } from '../../operator/runtime/clock.ts';
import type { Log } from '../../operator/runtime/log.ts';
import type { Metrics } from '../../operator/runtime/metrics.ts';
import type { Random } from '../../operator/runtime/random.ts';
import { type Core, createCore } from './core/core.ts';
import { createDetectors, type Detectors } from './core/detectors.ts';
import type { Event } from './core/event.ts';
import { type Egress, openEgress } from './egress/egress.ts';
import { createRaw } from './egress/raw.ts';
import { createLocal, type Local, type LocalOptions } from './local/local.ts';
import type { createGatewayMetrics } from './metrics.ts';
import type { GatewayOptions } from './options.ts';
import { createTracks, type Tracks } from './replay/tracks.ts';
import type { Devices } from './site/devices.ts';
import { openDirectory } from './spool/disk.ts';
import { openState, type State } from './state/state.ts';

export type Inside = {
  core: Core;
  state: State;
  egress: Egress;
  local: Local;
  detectors: Detectors;
  tracks: Tracks;
  /** Of an event that the core has taken. Resolves when it is on disk. */
  append(event: Event): Promise<void>;
};

type InsideParts = Pick<LocalOptions, 'identity' | 'publish'> & {
  devices: Devices;
  /** Something is in the spool. */
  spooled(): void;
  counts: ReturnType<typeof createGatewayMetrics>;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
};

export async function openInside(
  options: GatewayOptions,
  first: GatewayConfig,
  { devices, counts, identity, publish, spooled, clock, random, log, metrics }: InsideParts,
  open: (() => Promise<void>)[],
): Promise<Inside> {
  const { stateDir, spoolBytes, maxDevices, maxValues } = options;
  const egress = await openEgress({
    ...{ site: first.site, devices, spoolMaxBytes: spoolBytes, clock, random },
    disks: { spool: await openDirectory(join(stateDir, 'spool')), residents: await openDirectory(join(stateDir, 'residents')) },
    policy: (name) => core.config.segments.find((segment) => segment.name === name),
    pseudonym: () => randomBytes(16).toString('hex'),
    count(type, result) {
      counts.left(type, result);
      if (result === 'taken') spooled();
    },
  });
  open.push(() => egress.close());
  const { groups, alerts, outbox, residents } = egress;
  const detectors = createDetectors(({ alert, ...of }) => {
    const { kind, atMs, score } = alert;
    counts.found(kind);
    local.alerted(of.device, { ...of, ...alert });
    alerts.found({ ...of, kind, atMs, ...(score === undefined ? {} : { score }) });
  });
  const local = createLocal({
    ...{ devices: residents.devices, identity, publish, maxValues, clock, log, metrics },
    holds: (rule, { device, segment, atMs }) => alerts.found({ kind: 'rule', rule, device, segment, atMs }),
  });
  open.push(() => local.stop());
  const tracks = createTracks({ maxDevices });
  const stations = [...local.stations, groups, detectors, alerts, createRaw(outbox.put)];
  const core: Core = createCore({ tracks, stations, config: first });
  const state = await openState({
    ...{ disk: await openDirectory(join(stateDir, 'state')), clock, parts: core.parts, settled: outbox.settled },
    apply: (event) => void core.offer(event),
  });
  open.push(() => state.close());
  if (state.damaged > 0)
    log.warn({ damaged: state.damaged }, 'the disk gave back something else than was written: what it held of devices is forgotten');
  // All that the journal made is on disk.
  local.written(Promise.resolve());
  function append(event: Event): Promise<void> {
    const certain = state.append(event);
    local.written(certain);
    return certain;
  }
  const inside = { core, state, egress, local, detectors, tracks, append };
  // What the journal had was done under the configuration that was in force then.
  if (JSON.stringify(core.config) !== JSON.stringify(first)) await reconfigured(inside, first);
  return inside;
}

/** The journal begins anew with it. */
export async function reconfigured({ core, state }: Pick<Inside, 'core' | 'state'>, config: GatewayConfig): Promise<void> {
  core.configure(config);
  await state.snapshot();
}
