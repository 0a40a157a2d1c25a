// What an alert on the fence itself needs. Never a name of a device or of a segment as a label.
import { Counter, Gauge, type Registry } from 'prom-client';

export type ProbeResult = 'passed' | 'failed' | 'incomplete';
export type Surface = 'broker' | 'network';
export type ProbeMetrics = { ended(surface: Surface, result: ProbeResult, failing: number, nowMs: number): void };

export function createProbeMetrics(registry: Registry): ProbeMetrics {
  const registers = [registry];
  const runs = new Counter({
    name: 'fleet_probe_runs_total',
    help: 'Probes of broker and network by result: passed, failed (something was open or shut that should not be), incomplete (the canary came to no end)',
    labelNames: ['surface', 'result'],
    registers,
  });
  const failures = new Gauge({
    name: 'fleet_probe_failing',
    help: 'What the last probe that came to an end found open or shut and should not be',
    labelNames: ['surface'],
    registers,
  });
  const last = new Gauge({
    name: 'fleet_probe_last_end_timestamp_seconds',
    help: 'When a probe last came to an end',
    labelNames: ['surface'],
    registers,
  });
  return {
    ended(surface, result, failing, nowMs) {
      runs.inc({ surface, result });
      if (result === 'incomplete') return;
      failures.set({ surface }, failing);
      last.set({ surface }, nowMs / 1000);
    },
  };
}
