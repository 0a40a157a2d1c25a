// What the gateway does by itself at its site, for Prometheus. Never a device or a rule among the labels.
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from '../../../operator/runtime/metrics.ts';

export function createLocalMetrics({ registry }: Pick<Metrics, 'registry'>, readings: { waiting(): number; left(): number }) {
  const registers = [registry];
  const commands = new Counter({
    name: 'fleet_gateway_commands_total',
    help: 'Commands of local rules by result: sent, or an error code',
    labelNames: ['result'],
    registers,
  });
  const questions = new Counter({
    name: 'fleet_gateway_questions_total',
    help: 'Questions for last values by result: answered, malformed, unknown (who asks is no Active Device) or busy',
    labelNames: ['result'],
    registers,
  });
  commands.inc({ result: 'sent' }, 0);
  gauge('fleet_gateway_commands_waiting', 'Commands that the local broker has not got yet', readings.waiting);
  gauge('fleet_gateway_latest_left', 'Messages whose values are not among the last ones, because there is no room', readings.left);
  return {
    commanded: (result: string): void => commands.inc({ result }),
    asked: (result: string): void => questions.inc({ result }),
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
