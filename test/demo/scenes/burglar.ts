// Somebody with the key and certificate of a revoked device, who tries again and again while the broker has lost its memory.
import { pause } from '../../harness/wait.ts';
import { createDevice, type SimulatedDevice } from '../../simulator/device.ts';
import { refusalOf } from '../../simulator/hostile.ts';
import type { Stage } from './scene.ts';

/** `inside`: how often CONNECT was accepted; `accepted`: how many of the publishes and subscriptions that followed. */
export type Loot = { tries: number; inside: number; accepted: number };

export type Burglary = { stop(): Promise<Loot> };

/** The revoked device's key and certificate, tried again and again, and whatever gets through is counted. */
export function startBurglary({ fleet, address }: Pick<Stage, 'fleet' | 'address'>): Burglary {
  const { device, certificate } = fleet.attacker();
  const pem = certificate();
  const loot: Loot = { tries: 0, inside: 0, accepted: 0 };
  let stopped = false;
  const running = (async () => {
    const burglar = await createDevice(device.who, 0, '', device.key);
    while (!stopped) {
      await attempt(burglar, loot);
      await pause(20);
    }
    await burglar.close();
  })();
  async function attempt(burglar: SimulatedDevice, count: Loot): Promise<void> {
    try {
      await burglar.connect(address, pem, { connectTimeout: 2_000 });
    } catch (error) {
      // A broker that is not there refuses nobody.
      if (refusalOf(error).refused) count.tries += 1;
      return;
    }
    count.tries += 1;
    count.inside += 1;
    const topic = `dt/${device.who.segment}.${device.who.namespace}/${device.name}/temperature`;
    const answers = await Promise.all([burglar.tryPublish(topic, '{}'), burglar.trySubscribe('#')]);
    count.accepted += answers.filter(({ given }) => given === 'accepted').length;
    await burglar.close();
  }
  return {
    async stop() {
      stopped = true;
      await running;
      return loot;
    },
  };
}
