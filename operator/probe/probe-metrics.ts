// What an alert on the fence itself needs. Never a name of a device or of a segment as a label.
import { Counter, Gauge, type Registry } from 'prom-client';

export type ProbeResult = 'passed' | 'failed' | 'incomplete';
export type ProbeMetrics = { ended(result: ProbeResult, failing: number, nowMs: number): void };

export function createProbeMetrics(registry: Registry): ProbeMetrics {
  const registers = [registry];
  const runs = new Counter({
    name: 'fleet_probe_runs_total',
    help: 'Probes of the broker by result: passed, failed (something was open or shut that should not be), incomplete (the canary came to no end)',
    labelNames: ['result'],
    registers,
  });
  const failures = new Gauge({
    name: 'fleet_probe_failing',
    help: 'What the last probe that came to an end found open or shut and should not be',
    registers,
  });
  const last = new Gauge({ name: 'fleet_probe_last_end_timestamp_seconds', help: 'When a probe last came to an end', registers });
  for (const result of ['passed', 'failed', 'incomplete'] as const) runs.inc({ result }, 0);
  return {
    ended(result, failing, nowMs) {
      runs.inc({ result });
      if (result === 'incomplete') return;
      failures.set(failing);
      last.set(nowMs / 1000);
    },
  };
}
