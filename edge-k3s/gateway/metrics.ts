// What the gateway does, for Prometheus. Never a device among the labels: how many there are is not bounded.
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from '../../operator/runtime/metrics.ts';
import type { GatewayCode } from './errors.ts';

export type Readings = {
  isConnected(): boolean;
  series(): number;
  devices(): number;
  certificateEndsMs(): number;
};

export function createGatewayMetrics({ registry }: Pick<Metrics, 'registry'>) {
  const registers = [registry];
  /** Tens of thousands a second: counted here, and handed over when somebody asks. */
  const counts = new Map<GatewayCode | 'accepted', number>([['accepted', 0]]);
  let received = 0;
  new Counter({
    name: 'fleet_gateway_messages_total',
    help: 'Messages of devices by result: accepted, or an error code',
    labelNames: ['result'],
    registers,
    collect() {
      for (const [result, count] of counts) this.inc({ result }, count);
      for (const result of counts.keys()) counts.set(result, 0);
    },
  });
  new Counter({
    name: 'fleet_gateway_received_bytes_total',
    help: 'Bytes of payload that came from devices',
    registers,
    collect() {
      this.inc(received);
      received = 0;
    },
  });
  const findings = new Counter({
    name: 'fleet_gateway_findings_total',
    help: 'What detectors found, before anything is held back, by kind',
    labelNames: ['kind'],
    registers,
  });
  return {
    seen(result: GatewayCode | 'accepted', size: number): void {
      counts.set(result, (counts.get(result) ?? 0) + 1);
      received += size;
    },
    found: (kind: string): void => findings.inc({ kind }),
    /** Read at scrape time. */
    read(readings: Readings): void {
      gauge('fleet_gateway_broker_connected', '1 while the gateway has its session at the local broker', () =>
        Number(readings.isConnected()),
      );
      gauge('fleet_gateway_series', 'Series (one value of one stream of one device) that detectors watch', readings.series);
      gauge('fleet_gateway_devices', 'Devices of which it is known what was there', readings.devices);
      gauge('fleet_gateway_certificate_expiry_seconds', 'When the certificate at the local broker ends, seconds since 1970', () =>
        Math.floor(readings.certificateEndsMs() / 1000),
      );
    },
  };

  function gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  }
}
