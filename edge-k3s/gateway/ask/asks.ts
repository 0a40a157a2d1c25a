// Which devices the operator is asked to quarantine. An ask stands until the device is shut or gone, and for a few minutes at the most: what nobody followed by
// then was refused, and whoever goes on is asked for again by the meter. Pure.
import { ASK_STANDS_MS, type Ask, MAX_ASKS } from '../../../operator/api/gateway-asks.ts';
import type { Raised } from '../meter/meter.ts';
import type { Devices } from '../site/devices.ts';

export type Asks = {
  raise(raised: Raised): void;
  /** The oldest first; more than fit wait for a place. */
  standing(nowMs: number): Ask[];
};

/** `site`: the namespace. */
export function createAsks(site: string, devices: Pick<Devices, 'get'>): Asks {
  let asks: Ask[] = [];

  function isOpen({ device, uid, atMs }: Ask, nowMs: number): boolean {
    const known = devices.get(`${device}.${site}`);
    return known?.uid === uid && known.lifecycle === 'Active' && Math.abs(nowMs - atMs) < ASK_STANDS_MS;
  }

  return {
    raise({ device, ...raised }) {
      const known = devices.get(device);
      if (known === undefined || known.lifecycle !== 'Active') return;
      const { trigger, count, overMs, atMs } = raised;
      const ask: Ask = { device: device.slice(0, -site.length - 1), uid: known.uid, trigger, count, overMs, atMs };
      // One for a device and a trigger: the newer one says that it goes on.
      asks = [...asks.filter((one) => one.uid !== ask.uid || one.trigger !== trigger), ask];
    },
    standing(nowMs) {
      asks = asks.filter((one) => isOpen(one, nowMs));
      return asks.slice(0, MAX_ASKS);
    },
  };
}
