// What the gateway does, for Prometheus. Never a device among the labels: how many there are is not bounded.
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from '../../operator/runtime/metrics.ts';
import type { GatewayCode } from './errors.ts';

export type Readings = {
  isConnected(): boolean;
  series(): number;
  devices(): number;
  certificateEndsMs(): number;
  asks(): number;
};

export type UplinkReadings = { isConnected(): boolean; certificateEndsMs(): number; waiting(): Readonly<Record<string, number>> };

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
  const outputs = new Counter({
    name: 'fleet_gateway_outputs_total',
    help: 'What was to leave the site, by type and by what became of it at the gate: taken into the spool, or an error code',
    labelNames: ['type', 'result'],
    registers,
  });
  const uplinked = new Counter({
    name: 'fleet_gateway_uplink_messages_total',
    help: 'Messages to the cloud: sent, withheld by a policy that was narrowed, refused by the broker and kept; with the error code where there is one',
    labelNames: ['what', 'code'],
    registers,
  });
  return {
    left: (type: string, result: GatewayCode | 'taken'): void => outputs.inc({ type, result }),
    sent: (what: string, code?: GatewayCode): void => uplinked.inc({ what, code: code ?? '' }),
    readUplink(readings: UplinkReadings): void {
      gauge('fleet_gateway_uplink_connected', '1 while the gateway has its connection to the cloud', () => Number(readings.isConnected()));
      gauge('fleet_gateway_uplink_certificate_expiry_seconds', 'When the certificate of the uplink ends, seconds since 1970', () =>
        Math.floor(readings.certificateEndsMs() / 1000),
      );
      gauge('fleet_gateway_spool_waiting', 'Records that wait for the cloud', () =>
        Object.values(readings.waiting()).reduce((sum, one) => sum + one, 0),
      );
    },
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
      gauge('fleet_gateway_asks', 'Devices that the operator is asked to quarantine, once for each trigger', readings.asks);
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
