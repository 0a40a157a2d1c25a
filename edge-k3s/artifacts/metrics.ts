// What the server does, for Prometheus. Never a digest or a device among the labels.
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from '../../operator/runtime/metrics.ts';

export type Readings = {
  usedBytes(): number;
  mostBytes: number;
  catalogs(): number;
  transfers(): number;
  oldestListMs(): number | undefined;
};

export function createArtifactsMetrics({ registry }: Pick<Metrics, 'registry'>) {
  const registers = [registry];
  const requests = new Counter({
    name: 'fleet_artifacts_requests_total',
    help: 'Requests of devices by what was asked for and HTTP status',
    labelNames: ['kind', 'status'],
    registers,
  });
  const sent = new Counter({
    name: 'fleet_artifacts_sent_bytes_total',
    help: 'Bytes sent to devices, with the overhead of TLS',
    registers,
  });
  const received = new Counter({ name: 'fleet_artifacts_fetched_bytes_total', help: 'Bytes fetched from registries', registers });
  const fetches = new Counter({
    name: 'fleet_artifacts_fetches_total',
    help: 'Files that were to be fetched, by result: ok or an error code',
    labelNames: ['result'],
    registers,
  });
  const evictions = new Counter({ name: 'fleet_artifacts_evictions_total', help: 'Files that left the cache to make room', registers });
  fetches.inc({ result: 'ok' }, 0);
  return {
    observed: (kind: string, status: number): void => requests.inc({ kind, status: String(status) }),
    sent: (bytes: number): void => sent.inc(bytes),
    received: (bytes: number): void => received.inc(bytes),
    fetched: (result: string): void => fetches.inc({ result }),
    evicted: (): void => evictions.inc(),
    /** Read at scrape time. */
    read(readings: Readings): void {
      gauge('fleet_artifacts_cache_bytes', 'Bytes of the cache in use, with room that is reserved', readings.usedBytes);
      gauge('fleet_artifacts_cache_limit_bytes', 'Bytes that the cache may have', () => readings.mostBytes);
      gauge('fleet_artifacts_catalogs', 'Releases that are served', readings.catalogs);
      gauge('fleet_artifacts_transfers', 'Transfers to devices that are open', readings.transfers);
      gauge(
        'fleet_artifacts_crl_next_update_seconds',
        'When the first of the revocation lists is old, seconds since 1970; 0 without lists',
        () => (readings.oldestListMs() ?? 0) / 1000,
      );
    },
  };

  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }
}
