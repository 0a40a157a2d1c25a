// What the gateway does by itself at its site, put together: last values, rules, the commands that follow from them, and answers to who asks. None of it needs the uplink.
import { type CommandSigner, readCommandSigner } from '../../../operator/api/command.ts';
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import type { Metrics } from '../../../operator/runtime/metrics.ts';
import { createOutbox } from '../command/outbox.ts';
import type { Station } from '../core/core.ts';
import type { Accepted } from '../core/event.ts';
import { createLastAlerts, type LastAlerts } from '../latest/alerted.ts';
import { createDesk } from '../latest/desk.ts';
import { createLatest } from '../latest/latest.ts';
import type { Outgoing } from '../mqtt/link.ts';
import { createRules } from '../rules/rules.ts';
import type { Devices } from '../site/devices.ts';
import { createLocalMetrics } from './metrics.ts';

export type LocalOptions = {
  devices: Devices;
  /** As it is now; PEM. */
  identity(): { key: string; cert: string };
  publish(message: Outgoing): Promise<number | undefined>;
  /** A rule of the site holds for the device that sent this. */
  holds(rule: string, event: Accepted): void;
  maxValues: number;
  clock: Clock;
  log: Log;
  metrics: Metrics;
};

export type Local = {
  /** In this order: rules look at what is newest. */
  stations: readonly Station[];
  /** Told of each alert, for whoever asks at the site. */
  alerted: LastAlerts['found'];
  /** After each event, with when it is on disk: commands that it made go out then. */
  written(certain: Promise<void>): void;
  question(topic: string, payload: Buffer): void;
  stop(): Promise<void>;
};

export function createLocal({ devices, identity, publish, holds, maxValues, clock, log, metrics }: LocalOptions): Local {
  const latest = createLatest(maxValues);
  const counts = createLocalMetrics(metrics, { waiting: () => outbox.waiting, left: () => latest.left });
  const outbox = createOutbox({ ...{ devices, clock, log, publish }, signer: signers(identity), ended: counts.commanded });
  const rules = createRules({ isNewest: (event) => latest.isNewest(event), orders: outbox, holds });
  const alerts = createLastAlerts();
  const desk = createDesk({ latest, alerts, devices, clock, publish, asked: counts.asked });
  return {
    stations: [latest, rules, alerts],
    alerted: alerts.found,
    written: outbox.written,
    question: desk.offer,
    stop: () => outbox.stop(),
  };
}

/** A key is read once, not for each command. */
function signers(identity: LocalOptions['identity']): () => CommandSigner | { problem: string } {
  let read: { of: ReturnType<LocalOptions['identity']>; signer: CommandSigner | { problem: string } } | undefined;
  return () => {
    const now = identity();
    if (read?.of !== now) read = { of: now, signer: readCommandSigner(now.key, now.cert) };
    return read.signer;
  };
}
