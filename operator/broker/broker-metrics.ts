// What is measured of the broker. Never a name of a device or of a segment as a label.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export type Repair =
  | 'ban-made'
  | 'ban-removed'
  | 'override-written'
  | 'override-removed'
  | 'text-written'
  | 'cas-written'
  | 'client-kicked'
  | 'subscription-removed';

export interface BrokerMetrics {
  request(sample: { method: string; code: string; seconds: number }): void;
  repaired(what: Repair, count?: number): void;
  restarted(): void;
  passed(full: boolean, seconds: number): void;
  text(rules: number, bytes: number): void;
  held(bans: number, overrides: number, excluded: number): void;
  unsafe(findings: number): void;
  cas(inForce: number): void;
  succeeded(atMs: number): void;
}

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function brokerMetrics(registry: Registry): BrokerMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) => new Counter({ name, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const requests = counter('fleet_broker_requests_total', "Requests to EMQX's REST API by method and status", ['method', 'code']);
  const seconds = new Histogram({
    name: 'fleet_broker_request_duration_seconds',
    help: "Time to the head of EMQX's answer",
    labelNames: ['method'],
    buckets: BUCKETS,
    registers,
  });
  const repairs = counter('fleet_broker_repairs_total', 'What was changed at the broker because it was not as it should be', ['what']);
  const restarts = counter('fleet_broker_restarts_total', 'Restarts of EMQX that were noticed', []);
  const passes = new Histogram({
    name: 'fleet_broker_pass_duration_seconds',
    help: 'Time of a comparison with the broker; full: everything was read again',
    labelNames: ['full'],
    buckets: BUCKETS,
    registers,
  });
  const rules = gauge('fleet_broker_rules', 'Rules in the ACL text (budget 100; each connection of EMQX 5.8 copies them)');
  const bytes = gauge('fleet_broker_text_bytes', 'Size of the ACL text');
  const bans = gauge('fleet_broker_bans', 'Bans that the broker was seen to hold, those of others included');
  const overrides = gauge('fleet_broker_overrides', 'Clients with rules of their own at the broker');
  const excluded = gauge('fleet_broker_excluded_segments', 'Segments that have no rights because EMQX or the budget refused them');
  const findings = gauge('fleet_broker_unsafe', 'Settings of EMQX that make rights meaningless');
  const cas = gauge(
    'fleet_broker_device_cas',
    'CAs of devices with which the TLS listener was seen; 0: it is left as it is, or does not take them',
  );
  const success = gauge('fleet_broker_last_success_timestamp_seconds', 'When a whole comparison last went through, Unix time');
  return {
    request(sample) {
      requests.inc({ method: sample.method, code: sample.code });
      seconds.observe({ method: sample.method }, sample.seconds);
    },
    repaired: (what, count = 1) => repairs.inc({ what }, count),
    restarted: () => restarts.inc(),
    passed: (full, took) => passes.observe({ full: String(full) }, took),
    text(ruleCount, size) {
      rules.set(ruleCount);
      bytes.set(size);
    },
    held(banCount, overrideCount, excludedCount) {
      bans.set(banCount);
      overrides.set(overrideCount);
      excluded.set(excludedCount);
    },
    unsafe: (count) => findings.set(count),
    cas: (count) => cas.set(count),
    succeeded: (atMs) => success.set(atMs / 1000),
  };
}
