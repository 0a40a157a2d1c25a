// What the consumer does, for Prometheus. Never a site or a device among the labels.
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Metrics } from '../../operator/runtime/metrics.ts';
import type { IntakeMetrics } from './intake.ts';

export function createConsumerMetrics({ registry }: Pick<Metrics, 'registry'>): IntakeMetrics & { connected(is: boolean): void } {
  const registers = [registry];
  const messages = new Counter({
    name: 'fleet_cloud_messages_total',
    help: 'Messages of sites that fit the contract, by type; those that came again are among them',
    labelNames: ['type'],
    registers,
  });
  const again = new Counter({
    name: 'fleet_cloud_messages_again_total',
    help: 'Messages that the store had already, in their revision or a later one',
    registers,
  });
  const refused = new Counter({
    name: 'fleet_cloud_messages_refused_total',
    help: 'Messages that are not kept, by error code',
    labelNames: ['code'],
    registers,
  });
  const commits = new Histogram({
    name: 'fleet_cloud_commit_seconds',
    help: 'How long a batch takes until it is on disk',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const connected = new Gauge({ name: 'fleet_cloud_connected', help: '1 while the consumer is subscribed at the broker', registers });
  return {
    taken: (type) => messages.inc({ type }),
    again: (count) => again.inc(count),
    refused: (code, count) => refused.inc({ code }, count),
    wrote: (seconds) => commits.observe(seconds),
    connected: (is) => connected.set(is ? 1 : 0),
  };
}
