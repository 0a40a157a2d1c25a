// 10,000 devices over sockets to the broker's stand-in, 500 of them by mutual TLS with certificates of their own, the others by plain TCP; each message is a packet of MQTT 5.
// The loop, core and MQTT client of `operator rollout` run in a process that is killed, and so is the broker, which forgets everything: the ends are those of a rollout without kills.
import { describe, expect, it } from 'vitest';
import { isSilent, rightEndOf } from '../../firmware/fleet/ends.ts';
import { FORGER, natureOf } from '../../firmware/fleet/nature.ts';
import { nameOf } from '../../firmware/fleet/scene.ts';
import { runPackets } from './run.ts';

const [DEVICES, TLS, SEED] = [10000, 500, 1];

describe('a rollout to 10,000 devices by packets', () => {
  it('comes to the end of each that is right while drivers and the broker are killed', { timeout: 900_000 }, async () => {
    const outcome = await runPackets({
      devices: DEVICES,
      tls: TLS,
      seed: SEED,
      driverKills: 3,
      brokerKills: 1,
      say: (line) => console.log(line),
    });
    expect(outcome.wrongConfirmed).toEqual([]);
    expect(outcome.forged).toBeGreaterThan(0);
    expect(outcome.mostWrites).toBeLessThanOrEqual(2);
    // Some are never there, or away at first.
    expect(outcome.sockets).toBeGreaterThan(DEVICES * 0.95);
    const wrong = Array.from({ length: DEVICES }, (_, at) => at).flatMap((at) => {
      const { name, plays } = natureOf(at, SEED);
      const { result, code } = outcome.records.get(nameOf(at)) ?? {};
      const right = rightEndOf(name);
      if (String(result) === right || (isSilent(right) && isSilent(result))) return [];
      // Liars that may be believed or not.
      if (plays === 'resets' || name === FORGER) return [];
      return [`${name}: ${result} ${code ?? ''}`];
    });
    expect(wrong).toEqual([]);
    const counted = [...outcome.records.values()].filter(({ result }) => result === 'Confirmed').length;
    expect(outcome.report?.counts.confirmed).toBe(counted);
  });
});
