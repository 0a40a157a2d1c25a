// What an alert on a rollout needs. Never a name of a device as a label.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Counts } from './sets.ts';

export type DriverMetrics = {
  heard(messages: number): void;
  published(action: string): void;
  recorded(result: string): void;
  ticked(counts: Counts, refused: ReadonlyMap<string, number>): void;
};

export function createDriverMetrics(registry: Registry): DriverMetrics {
  const registers = [registry];
  const devices = new Gauge({
    name: 'fleet_rollout_devices',
    help: 'Devices of this driver by where they are: the counts of the FirmwareWave',
    labelNames: ['count'],
    registers,
  });
  const messages = new Counter({ name: 'fleet_rollout_messages_total', help: 'Messages of devices that were looked at', registers });
  const directives = new Counter({
    name: 'fleet_rollout_directives_total',
    help: 'Directives that the broker took, by action; a directive that is sent again counts again',
    labelNames: ['action'],
    registers,
  });
  const ends = new Counter({
    name: 'fleet_rollout_ends_total',
    help: 'Ends of devices that were written to their status, by result',
    labelNames: ['result'],
    registers,
  });
  const refusals = new Gauge({
    name: 'fleet_rollout_refused_messages',
    help: 'Messages of devices that did not count, by the code of why (docs/reference/errors.md)',
    labelNames: ['code'],
    registers,
  });
  return {
    heard: (count) => messages.inc(count),
    published: (action) => directives.inc({ action }),
    recorded: (result) => ends.inc({ result }),
    ticked(counts, refused) {
      for (const [count, size] of Object.entries(counts)) devices.set({ count }, size);
      for (const [code, count] of refused) refusals.set({ code }, count);
    },
  };
}
