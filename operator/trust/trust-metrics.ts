// What an alert on a rotation of the broker's server CA needs. Never a name of a device as a label.
import { Gauge, type Registry } from 'prom-client';
import type { TrustStatus } from './state.ts';

export function createTrustMetrics(registry: Registry): (status: TrustStatus) => void {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const phase = new Gauge({
    name: 'fleet_trust_phase',
    help: "1 for the phase of the rotation of the broker's server CA (docs/guides/rotate-server-ca.md)",
    labelNames: ['phase'],
    registers: [registry],
  });
  const confirmed = gauge('fleet_trust_confirmed_devices', 'Devices that confirmed the present server anchors');
  const waiting = gauge('fleet_trust_waiting_devices', 'Devices with a valid certificate that did not confirm the present server anchors');
  const sequence = gauge('fleet_trust_sequence', 'Sequence of the last signed message about server anchors');
  return (status) => {
    phase.reset();
    phase.set({ phase: status.phase }, 1);
    confirmed.set(status.confirmed);
    waiting.set(status.waiting.count);
    sequence.set(status.sequence);
  };
}
