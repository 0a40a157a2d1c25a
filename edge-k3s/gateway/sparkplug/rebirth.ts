// Asks a node for another birth (§6.4.20, Node Control/Rebirth): who was born before the gateway was there, or of whom messages are missing. Only as often as a node could
// answer, and where the broker does not let the gateway ask, not again for a while.
import type { Clock } from '../../../operator/runtime/clock.ts';
import type { Log } from '../../../operator/runtime/log.ts';
import { Refused } from '../errors.ts';
import type { Outgoing } from '../mqtt/link.ts';
import { varint } from './wire.ts';

export type Rebirth = { ask(device: string, segment: string): void };

export type RebirthOptions = {
  /** The broker's code; undefined when nothing came back. */
  publish(message: Outgoing): Promise<number | undefined>;
  clock: Pick<Clock, 'now' | 'elapsed'>;
  log: Pick<Log, 'warn'>;
};

const AGAIN_MS = 60_000;
const REFUSED_MS = 600_000;
/** Who is not asked now is when it speaks again. */
const MOST_UNDER_WAY = 32;
const MOST_REMEMBERED = 50_000;

export function createRebirth({ publish, clock, log }: RebirthOptions): Rebirth {
  const asked = new Map<string, number>();
  const shut = new Map<string, number>();
  let underWay = 0;

  async function send(device: string, segment: string): Promise<void> {
    underWay += 1;
    const topic = `spBv1.0/${segment}/NCMD/${device}`;
    const code = await publish({ topic, payload: rebirthCommand(clock.now()), expirySeconds: AGAIN_MS / 1000 }).catch(() => undefined);
    underWay -= 1;
    if (code === undefined) {
      asked.delete(device);
      return;
    }
    if (code < 0x80) return;
    shut.set(segment, clock.elapsed() + REFUSED_MS);
    const problem = new Refused('HR-GW-805', undefined, `${segment}, reason code 0x${code.toString(16)}`);
    log.warn({ code: problem.code, problem: problem.message }, 'nodes of a segment cannot be asked for another birth');
  }

  return {
    ask(device, segment) {
      const nowMs = clock.elapsed();
      const isEarly = nowMs < (shut.get(segment) ?? nowMs) || nowMs - (asked.get(device) ?? -AGAIN_MS) < AGAIN_MS;
      if (isEarly || underWay >= MOST_UNDER_WAY) return;
      if (asked.size >= MOST_REMEMBERED) asked.clear();
      asked.set(device, nowMs);
      void send(device, segment);
    },
  };
}

/** One metric, a boolean that is true. */
export function rebirthCommand(nowMs: number): Buffer {
  const name = Buffer.from('Node Control/Rebirth');
  const time = varint(BigInt(nowMs));
  const metric = Buffer.concat([Buffer.from([0x0a, name.length]), name, Buffer.from([0x18]), time, Buffer.from([0x70, 1])]);
  return Buffer.concat([Buffer.from([0x08]), time, Buffer.from([0x12, metric.length]), metric]);
}
