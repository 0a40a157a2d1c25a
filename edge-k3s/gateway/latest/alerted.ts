// The last alerts of every device, with the sentence in which the detector says why. It has readings in it, so it stays at the site: whoever asks there for last values gets it.
import type { Station } from '../core/core.ts';
import type { Alert } from '../detect/alert.ts';

export type Alerted = Pick<Alert, 'kind' | 'atMs' | 'says'> & { stream: string; field: string };

export type LastAlerts = Station & {
  found(device: string, one: Alerted): void;
  /** The newest last. */
  of(device: string): readonly Alerted[];
};

const MOST_OF_DEVICE = 8;
/** A site with more devices keeps those of the ones that were last alerted. */
const MOST_DEVICES = 10_000;
const VERSION = 'alerted 1';

export function createLastAlerts(mostDevices: number = MOST_DEVICES): LastAlerts {
  const devices = new Map<string, Alerted[]>();
  return {
    name: 'alerted',
    message: () => undefined,
    tick: () => undefined,
    configure: () => undefined,
    found(device, { kind, atMs, says, stream, field }) {
      const known = devices.get(device) ?? [];
      devices.delete(device);
      devices.set(device, [...known.slice(1 - MOST_OF_DEVICE), { kind, atMs, says, stream, field }]);
      const [oldest] = devices.keys();
      if (devices.size > mostDevices && oldest !== undefined) devices.delete(oldest);
    },
    of: (device) => devices.get(device) ?? [],
    *snapshot() {
      yield VERSION;
      for (const entry of devices) yield JSON.stringify(entry);
    },
    restore(lines) {
      devices.clear();
      const [version, ...rest] = lines;
      if (version !== VERSION) return;
      for (const line of rest) devices.set(...(JSON.parse(line) as [string, Alerted[]]));
    },
    forget: (device) => void devices.delete(device),
  };
}
