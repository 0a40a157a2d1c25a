import { answerOf } from '../../simulator/answer.ts';
import type { SimulatedDevice } from '../../simulator/device.ts';
import { connectWith } from '../../simulator/hostile.ts';
import { ATTACKER } from '../fleet.ts';
import { patiently } from '../patience.ts';
import { duration } from '../text.ts';
import { connected, genuineDevicesTalk, intervention, must, type Scene } from './scene.ts';
import { VICTIM } from './stranger.ts';

/** design/architecture.md, promise 3: p99 of 5 s with 10,000 connected devices; here it is the bound of the one that is tried. */
const BOUND_MS = 5_000;
/** MQTT 5 §3.14.2.1. */
const ADMINISTRATIVE_ACTION = 0x98;

export const revocation: Scene = {
  proof: 'a revoked device is gone within seconds',
  attempt: () => `${ATTACKER} was found out. Somebody on call revokes it by hand; nothing in Git is touched.`,
  async play(stage, check) {
    const { fleet, watch, address } = stage;
    const attacker = fleet.attacker();
    const certificate = attacker.certificate();
    await connected(attacker);
    const ended = patiently(`${ATTACKER}'s connection to end`, () => endOf(attacker.device), { everyMs: 1 });
    ended.catch(() => undefined); // when kubectl fails first, that is the news
    const applied = must(
      await stage.kubectl(['apply', '-f', '-'], intervention(stage, 'Revoke', ATTACKER, 'publishes in the names of others')),
    );
    const { at, code } = await ended;
    const closedMs = at - applied.startedAt;
    check(
      'its connection was closed',
      closedMs - applied.ms < BOUND_MS,
      `${duration(closedMs)} after kubectl apply was started (kubectl alone took ${duration(applied.ms)})${code === undefined ? '' : `, ${answerOf('DISCONNECT', code, code === ADMINISTRATIVE_ACTION ? 'Administrative action' : '').how}`}`,
    );
    const again = await connectWith(address, attacker.device.key, certificate);
    check('it connects again with the same key and certificate', again.refused, again.how);
    const revoked = await watch.until(ATTACKER, 'Revoked', 'True');
    check('the Device says so', true, `Revoked=True: ${revoked.message}`);
    await genuineDevicesTalk([fleet.talker(VICTIM)], check);
    return `${Math.round(closedMs)} ms; then ${again.how}`;
  },
};

/** Both at once: the device soon tries to connect again, and that forgets them. */
function endOf(device: SimulatedDevice): { at: number; code: number | undefined } | undefined {
  const at = device.endedAt();
  return at === undefined ? undefined : { at, code: device.endedWith() };
}
