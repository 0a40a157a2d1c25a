// How many faults of sensors the detectors of the gateway find while they accuse a healthy device of nothing, or once a week at most. Made signals: what they are
// and how large the faults are is in test/detect. With and without the opt-in detectors, which cost ten times the time.
import { FAULTS } from '../detect/sensor-faults.ts';
import { OPTIONS, runSuite } from '../detect/suite.ts';
import type { Bench } from './figure.ts';

const ROOMS = 4;

export const faultsBench: Bench = {
  name: 'faults',
  about: `the detectors of the gateway on made faults of sensors: recall, and false alerts per device and week; ${ROOMS} rooms of each class (--n N)`,
  async *run({ n = ROOMS, seed = 1, progress }) {
    for (const [name, options] of Object.entries({ default: {}, all: OPTIONS })) {
      progress(`${name}: ${JSON.stringify(options)}`);
      const { devices, deviceWeeks, falseAlerts, kinds, found, alone, of } = runSuite(n, seed, options);
      progress(`${falseAlerts} false alerts in ${deviceWeeks} weeks of devices: ${JSON.stringify(kinds)}`);
      yield {
        figure: `${name}-false-alerts`,
        value: falseAlerts / deviceWeeks,
        unit: 'per device and week',
        n: devices,
        reference: 'allowed',
        referenceValue: 1,
      };
      for (const fault of FAULTS) {
        yield { figure: `${name}-recall-${fault.replaceAll(' ', '-')}`, value: found[fault] / of[fault], unit: 'of 1', n: of[fault] };
        progress(`${fault}: ${found[fault]} of ${of[fault]}, ${alone[fault]} of them without the peers`);
      }
    }
  },
};
